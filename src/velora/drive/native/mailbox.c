/* A plant that lives in another thread of this process, such as one in Python: a cell for the newest reading and one for
   the newest action. Neither side ever waits for the other: each cell has a number that is odd while it is written, and
   a reader that finds it odd, or changed, reads again (a seqlock). */
#include <string.h>

#include "loop.h"

typedef struct {
    uint64_t number; /* of the newest content, times two */
    int64_t time_ns;
    float reward;
    uint32_t flags;
    float values[POLICY_OBSERVATIONS > POLICY_ACTIONS ? POLICY_OBSERVATIONS : POLICY_ACTIONS];
} cell;

static cell readings, actions;
static uint64_t last_read, last_taken;
static int32_t has_failed;

static void put(cell *to, int64_t time_ns, float reward, uint32_t flags, const float *values, size_t n) {
    uint64_t number = __atomic_load_n(&to->number, __ATOMIC_RELAXED);
    __atomic_store_n(&to->number, number + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    to->time_ns = time_ns, to->reward = reward, to->flags = flags;
    memcpy(to->values, values, n * sizeof *values);
    __atomic_store_n(&to->number, number + 2, __ATOMIC_RELEASE);
}

/* Return the number of what was copied; a writer is never so fast that many attempts fail. */
static uint64_t get(const cell *from, cell *to) {
    for (;;) {
        uint64_t number = __atomic_load_n(&from->number, __ATOMIC_ACQUIRE);
        if (number & 1) continue;
        memcpy(to, from, sizeof *to);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&from->number, __ATOMIC_RELAXED) == number) return number;
    }
}

/* ------------------------------------------------------------------------------------------- the side of the loop */

int plant_open(void) {
    memset(&readings, 0, sizeof readings), memset(&actions, 0, sizeof actions);
    last_read = last_taken = 0, has_failed = 0;
    return 0;
}

int plant_read(float obs[POLICY_OBSERVATIONS], int64_t *time_ns, float *reward, uint32_t *flags) {
    cell copy;
    if (__atomic_load_n(&has_failed, __ATOMIC_ACQUIRE)) return -1;
    if (__atomic_load_n(&readings.number, __ATOMIC_ACQUIRE) / 2 == last_read) return 0;
    uint64_t number = get(&readings, &copy) / 2;
    if (number == last_read) return 0;
    last_read = number;
    *time_ns = copy.time_ns, *reward = copy.reward, *flags = copy.flags;
    memcpy(obs, copy.values, sizeof(float) * POLICY_OBSERVATIONS);
    return 1;
}

int plant_write(const policy_action action[POLICY_ACTIONS]) {
    float values[POLICY_ACTIONS];
    for (int i = 0; i < POLICY_ACTIONS; i++) values[i] = (float)action[i];
    put(&actions, 0, 0.0f, 0, values, POLICY_ACTIONS);
    return 0;
}

void plant_close(void) {}

/* ------------------------------------------------------------------------------------------ the side of the plant */

void mailbox_put(int64_t time_ns, float reward, uint32_t flags, const float obs[]) {
    put(&readings, time_ns, reward, flags, obs, POLICY_OBSERVATIONS);
}

/* Take the newest action: 1; there is none that wasn't taken before: 0. */
int mailbox_take(float action[]) {
    cell copy;
    uint64_t number = get(&actions, &copy) / 2;
    if (number == last_taken) return 0;
    last_taken = number;
    memcpy(action, copy.values, sizeof(float) * POLICY_ACTIONS);
    return 1;
}

void mailbox_fail(void) { __atomic_store_n(&has_failed, 1, __ATOMIC_RELEASE); }
