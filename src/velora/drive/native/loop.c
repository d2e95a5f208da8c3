#include "loop.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROW_MISSING = 1, ROW_LATE = 2, ROW_SAFE = 4, ROW_BEGINS = 8, ROW_TERMINATED = 16, ROW_TRUNCATED = 32 };
static const float SHORTEST = 1e-6f, LONGEST = 1e6f; /* as velora/envs/clock.py */

static policy_state stepped; /* of drive_step */

int32_t drive_observations(void) { return POLICY_OBSERVATIONS; }
int32_t drive_actions(void) { return POLICY_ACTIONS; }
int32_t drive_is_discrete(void) { return (policy_action)0.5 == 0; }
int64_t drive_size(void) { return (int64_t)sizeof(drive); }
void drive_begin(void) { policy_reset(&stepped); }

void drive_step(const float obs[], float dt, float action[]) {
    policy_action out[POLICY_ACTIONS];
    policy_step(&stepped, obs, dt, out);
    for (int i = 0; i < POLICY_ACTIONS; i++) action[i] = (float)out[i];
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Sleep for most of it, then look at the clock; a signal may end the sleep, and is no reason to be early. */
static void wait_until(int64_t due_ns, int64_t spin_ns) {
    int64_t until = due_ns - spin_ns;
    while (now() < until) {
        struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
    }
    while (now() < due_ns) {
    }
}

static void add(durations *to, int64_t ns) {
    int64_t us = ns / 1000, at = us < FINE ? us : FINE + (us - FINE) / COARSE_US;
    to->counts[at < 0 ? 0 : at > FINE + COARSE ? FINE + COARSE : at]++;
    to->total_ns += ns;
    if (ns > to->most_ns) to->most_ns = ns;
}

typedef struct {
    float obs[POLICY_OBSERVATIONS];
    int64_t time_ns;
    float reward;
    uint32_t flags;
} reading;

/* One row as velora/drive/recorder.py has it; 0 if it can't be written. */
static int record(int64_t file, const int64_t times[5], float dt, uint32_t flags, const reading *r, const policy_action *acted) {
    enum { HEAD = 5 * 8 + 3 * 4, SIZE = HEAD + 4 * (POLICY_OBSERVATIONS + POLICY_ACTIONS) };
    unsigned char row[SIZE];
    float action[POLICY_ACTIONS];
    float earned = r ? r->reward : 0.0f;
    for (int i = 0; i < POLICY_ACTIONS; i++) action[i] = acted ? (float)acted[i] : 0.0f;
    memset(row, 0, sizeof row);
    memcpy(row, times, 40);
    memcpy(row + 40, &dt, 4), memcpy(row + 44, &earned, 4), memcpy(row + 48, &flags, 4);
    if (r) memcpy(row + HEAD, r->obs, sizeof r->obs);
    memcpy(row + HEAD + 4 * POLICY_OBSERVATIONS, action, sizeof action);
    return write((int)file, row, sizeof row) == (ssize_t)sizeof row;
}

typedef struct {
    policy_state state;
    policy_action safe[POLICY_ACTIONS];
    int64_t seen_ns, in_a_row;
    int has_seen, is_safe, has_ended;
} course;

/* The policy's dt in control steps. Only the time between readings counts, however late a tick is. */
static float told(drive *d, course *c, const reading *r) {
    double dt = 1.0;
    if (!c->has_seen || r->flags & PLANT_BEGINS) policy_reset(&c->state);
    else dt = (double)(r->time_ns - c->seen_ns) / d->step_ns;
    c->has_seen = 1, c->seen_ns = r->time_ns;
    return dt < (double)SHORTEST ? SHORTEST : dt > (double)LONGEST ? LONGEST : (float)dt;
}

static void count(drive *d, const reading *r, float dt) {
    d->acted++, d->dt_sum += dt;
    if (dt < d->dt_least) d->dt_least = dt;
    if (dt > d->dt_most) d->dt_most = dt;
    d->earned = r->flags & PLANT_BEGINS ? r->reward : d->earned + r->reward;
    if (r->flags & (PLANT_TERMINATED | PLANT_TRUNCATED)) d->episodes++, d->earned_in_all += d->earned;
}

static int is_finite(const reading *r) {
    for (int i = 0; i < POLICY_OBSERVATIONS; i++)
        if (!isfinite(r->obs[i])) return 0;
    return 1;
}

/* Read, act, write: FINISHED, or why the drive ends. */
static int64_t tick(drive *d, course *c, int64_t number, int64_t due, int64_t began, int64_t *done) {
    reading r = {{0}, 0, 0.0f, 0};
    policy_action action[POLICY_ACTIONS], *acted = 0;
    uint32_t flags = 0;
    float dt = 0.0f;
    int found = plant_read(r.obs, &r.time_ns, &r.reward, &r.flags), has_acted = 0;
    if (found < 0) return FAILED;
    if (!found) {
        d->missing++, flags |= ROW_MISSING;
    } else {
        if (!is_finite(&r)) return NOT_FINITE;
        if (c->has_ended) r.flags |= PLANT_BEGINS; /* also where the plant doesn't say so */
        c->has_ended = (r.flags & (PLANT_TERMINATED | PLANT_TRUNCATED)) != 0;
        d->heard_ns = began;
        flags |= (r.flags & 7u) * ROW_BEGINS;
        if (c->is_safe && c->in_a_row == 0) c->is_safe = 0, c->has_seen = 0;
        if (!c->is_safe) dt = told(d, c, &r), policy_step(&c->state, r.obs, dt, action), acted = action, has_acted = 1;
    }
    if (c->is_safe) acted = c->safe, flags |= ROW_SAFE;
    if (acted && plant_write(acted)) return FAILED;
    *done = now();
    add(&d->work, *done - began);
    if (*done > due + d->deadline_ns) d->late++, flags |= ROW_LATE;
    if (has_acted) count(d, &r, dt);
    int64_t times[5] = {number, due, began, *done, found ? r.time_ns : 0};
    if (d->journal >= 0 && !record(d->journal, times, dt, flags, found ? &r : 0, acted)) return FAILED;
    return FINISHED;
}

/* The watchdog: FINISHED, or why the drive ends. */
static int64_t watch(drive *d, course *c, int64_t began, int64_t misses) {
    c->in_a_row = misses ? c->in_a_row + misses : 0;
    int64_t why = c->in_a_row >= d->misses ? MISSED : began - d->heard_ns > d->silent_ns ? SILENT : FINISHED;
    if (why == FINISHED || c->is_safe) return FINISHED;
    c->is_safe = 1, d->trips++;
    if (plant_write(c->safe)) return FAILED;
    return d->recovers ? FINISHED : why;
}

static int64_t go(drive *d, course *c) {
    int64_t number = 0, before = d->start_ns - d->period_ns;
    while (number < d->n_ticks) {
        int64_t due = d->start_ns + number * d->period_ns, done = 0;
        wait_until(due, d->spin_ns);
        int64_t began = now(), off = began - before - d->period_ns;
        add(&d->lateness, began - due), add(&d->interval, off < 0 ? -off : off);
        before = began;
        int64_t ended = tick(d, c, number, due, began, &done);
        if (ended != FINISHED) return ended;
        number++;
        int64_t passed = done - d->deadline_ns - d->start_ns;
        int64_t skipped = passed < 0 ? 0 : passed / d->period_ns + 1 - number;
        if (skipped < 0) skipped = 0;
        if (skipped > d->n_ticks - number) skipped = d->n_ticks - number;
        number += skipped, d->skipped += skipped, d->ticks = number;
        ended = watch(d, c, began, (done > due + d->deadline_ns) + skipped);
        if (ended != FINISHED) return ended;
        if (__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) return STOPPED;
    }
    return FINISHED;
}

void drive_run(drive *d) {
    course c;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < POLICY_ACTIONS; i++) c.safe[i] = (policy_action)d->safe[i];
    policy_reset(&c.state);
    d->dt_least = (double)LONGEST;
    d->start_ns = d->heard_ns = now();
    d->ended = go(d, &c);
    if (plant_write(c.safe) && d->ended <= STOPPED) d->ended = FAILED;
    d->end_ns = now();
}

double drive_measure(void) {
    enum { N = 101 };
    static const float obs[POLICY_OBSERVATIONS];
    int64_t took[N];
    float action[POLICY_ACTIONS];
    drive_begin();
    for (int i = 0; i < N; i++) {
        int64_t began = now();
        drive_step(obs, 1.0f, action);
        took[i] = now() - began;
        for (int j = i; j > 0 && took[j] < took[j - 1]; j--) {
            int64_t other = took[j];
            took[j] = took[j - 1], took[j - 1] = other;
        }
    }
    drive_begin();
    return (double)took[N / 2] * 1e-9;
}
