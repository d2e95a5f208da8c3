/* The loop of velora.drive.loop in C: the same schedule, the same watchdog, the same rows; no memory is allocated. */
#ifndef VELORA_LOOP_H
#define VELORA_LOOP_H

#include <stdint.h>

#include "plant.h"

enum { FINE = 1000, COARSE = 2000, COARSE_US = 50, N_BUCKETS = FINE + COARSE + 1 }; /* as velora/drive/tally.py */
enum { FINISHED, STOPPED, MISSED, SILENT, FAILED, NOT_FINITE };

typedef struct {
    int64_t counts[N_BUCKETS], total_ns, most_ns;
} durations;

/* velora/drive/compiled_loop.py has the same members in the same order. */
typedef struct {
    /* given */
    int64_t period_ns, deadline_ns, spin_ns, silent_ns, n_ticks, misses;
    double step_ns;
    int64_t recovers, journal; /* a file's descriptor, or -1 */
    float *safe;               /* (POLICY_ACTIONS) */
    /* set from outside while it runs */
    int64_t stop;
    /* counted */
    int64_t ended, start_ns, end_ns, heard_ns, ticks, acted, late, skipped, missing, trips, episodes;
    double dt_sum, dt_least, dt_most, earned, earned_in_all;
    durations lateness, work, interval;
} drive;

int32_t drive_observations(void);
int32_t drive_actions(void);
int32_t drive_is_discrete(void);
int64_t drive_size(void);

/* Drive until it ends; what happened is in ``d``. */
void drive_run(drive *d);

/* One policy, to be stepped from elsewhere: a loop in Python. */
void drive_begin(void);
void drive_step(const float obs[], float dt, float action[]);

/* Seconds that a step of the policy takes, the median of 101. */
double drive_measure(void);

#endif
