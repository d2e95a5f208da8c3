/* A plant that lives in another thread of this process, such as one in Python: a queue of readings, and a cell for the
   newest action. Neither side ever waits for the other. The loop takes all readings that wait up to the next episode, as
   one: the newest numbers, and the sum of the rewards. The cell of the action has a number that is odd while it is
   written, and a reader that finds it odd, or changed, reads again (a seqlock). */
#include <string.h>

#include "loop.h"

typedef struct {
    uint64_t number; /* of the newest content, times two */
    int64_t time_ns;
    float reward;
    uint32_t flags;
    float values[POLICY_OBSERVATIONS > POLICY_ACTIONS ? POLICY_OBSERVATIONS : POLICY_ACTIONS];
} cell;

enum { ROOM = 64, ENDS = PLANT_TERMINATED | PLANT_TRUNCATED };

static cell readings[ROOM], held, actions;
static uint64_t n_put, n_read, last_taken; /* n_put is written by the plant's side alone, n_read by the loop's */
static int32_t has_failed, is_held;

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
    memset(&actions, 0, sizeof actions);
    n_put = n_read = last_taken = 0, has_failed = is_held = 0;
    return 0;
}

int plant_read(float obs[POLICY_OBSERVATIONS], int64_t *time_ns, float *reward, uint32_t *flags) {
    if (__atomic_load_n(&has_failed, __ATOMIC_ACQUIRE)) return -1;
    uint64_t waiting = __atomic_load_n(&n_put, __ATOMIC_ACQUIRE), at = n_read;
    *reward = 0.0f, *flags = 0;
    for (; at < waiting && !(*flags & ENDS); at++) {
        const cell *next = &readings[at % ROOM];
        if (at > n_read && next->flags & PLANT_BEGINS) break;
        *time_ns = next->time_ns, *reward += next->reward, *flags |= next->flags;
        memcpy(obs, next->values, sizeof(float) * POLICY_OBSERVATIONS);
    }
    int found = at > n_read;
    __atomic_store_n(&n_read, at, __ATOMIC_RELEASE);
    return found;
}

int plant_write(const policy_action action[POLICY_ACTIONS]) {
    float values[POLICY_ACTIONS];
    for (int i = 0; i < POLICY_ACTIONS; i++) values[i] = (float)action[i];
    put(&actions, 0, 0.0f, 0, values, POLICY_ACTIONS);
    return 0;
}

void plant_close(void) {}

/* ------------------------------------------------------------------------------------------ the side of the plant */

/* Put a reading in. While a loop that stands still has left no room, what came is held as one, with the flags of all. */
void mailbox_put(int64_t time_ns, float reward, uint32_t flags, const float obs[]) {
    held.reward = is_held ? held.reward + reward : reward;
    held.flags = is_held ? held.flags | flags : flags;
    held.time_ns = time_ns;
    memcpy(held.values, obs, sizeof(float) * POLICY_OBSERVATIONS);
    uint64_t number = n_put;
    is_held = number - __atomic_load_n(&n_read, __ATOMIC_ACQUIRE) == ROOM;
    if (is_held) return;
    readings[number % ROOM] = held;
    __atomic_store_n(&n_put, number + 1, __ATOMIC_RELEASE);
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
