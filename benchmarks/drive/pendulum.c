/* A plant in C: Gymnasium's Pendulum, integrated by the clock in steps of a tenth of its control step.

   velora drive zoo:pendulum rate=1000 step_s=0.001 loop=c plant=benchmarks/drive/pendulum.c

   One control step lasts STEP_NS of the clock; step_s has to say the same. */
#include <math.h>
#include <time.h>

#include "plant.h"

#ifndef STEP_NS
#define STEP_NS 1000000
#endif
enum { PARTS = 10, STEPS = 200 };
static const double PI = 3.14159265358979323846, DT = 0.05 / PARTS;

static double angle, speed, torque, earned;
static int64_t start_ns, done, told;
static int is_running;
static uint64_t chance = 88172645463325252u;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A number from -1 to 1. */
static double drawn(void) {
    chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
    return (double)(chance >> 11) / 4503599627370496.0 - 1.0;
}

static void catch_up(void) {
    int64_t due = (now() - start_ns) * PARTS / STEP_NS, last = (int64_t)STEPS * PARTS;
    if (due > last) due = last;
    for (; done < due; done++) {
        double off = angle - 2.0 * PI * floor((angle + PI) / (2.0 * PI));
        earned -= (off * off + 0.1 * speed * speed + 0.001 * torque * torque) / PARTS;
        speed += (15.0 * sin(angle) + 3.0 * torque) * DT;
        speed = speed > 8.0 ? 8.0 : speed < -8.0 ? -8.0 : speed;
        angle += speed * DT;
    }
}

static void show(float obs[POLICY_OBSERVATIONS], int64_t *time_ns, float *reward) {
    obs[0] = (float)cos(angle), obs[1] = (float)sin(angle), obs[2] = (float)speed;
    *time_ns = start_ns + done * STEP_NS / PARTS, *reward = (float)earned;
    earned = 0.0, told = done;
}

int plant_open(void) {
    is_running = 0;
    return 0;
}

int plant_read(float obs[POLICY_OBSERVATIONS], int64_t *time_ns, float *reward, uint32_t *flags) {
    if (!is_running) {
        angle = PI * drawn(), speed = drawn(), torque = earned = 0.0;
        start_ns = now(), done = 0, is_running = 1;
        show(obs, time_ns, reward);
        *flags = PLANT_BEGINS;
        return 1;
    }
    catch_up();
    if (done == told) return 0;
    show(obs, time_ns, reward);
    is_running = done < (int64_t)STEPS * PARTS;
    *flags = is_running ? 0 : PLANT_TRUNCATED;
    return 1;
}

int plant_write(const policy_action action[POLICY_ACTIONS]) {
    if (is_running) catch_up();
    torque = action[0] > 2.0f ? 2.0 : action[0] < -2.0f ? -2.0 : (double)action[0];
    return 0;
}

void plant_close(void) {}
