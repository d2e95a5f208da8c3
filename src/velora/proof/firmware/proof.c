/* The proof's firmware: it answers frames of the host, each with one step of the policy.
 *
 * All numbers are little-endian. At its start it says hello: five words of 32 bits,
 *     PROOF_MAGIC, sizeof(policy_state), instructions of a known loop, ticks that the loop took, ticks of counting alone.
 * A request is     flags, dt, POLICY_OBSERVATIONS floats.
 * Its answer is    ticks, bytes of stack, POLICY_ACTIONS floats or whole numbers of 32 bits, and the bytes of the state.
 * Compiled with -DPROOF_SELFTEST it runs policy_selftest() instead, and writes what that returned as one word. */
#include <stdint.h>

#include "policy.h"
#include "port.h"

#ifdef PROOF_SELFTEST

int main(void)
{
    int32_t found;
    port_begin();
    found = policy_selftest();
    port_write(&found, sizeof found);
    port_end(0);
    return 0;
}

#else

#define PROOF_MAGIC 0x464F5250UL /* "PROF" */

enum { RESET = 1, MEASURE = 2, END = 4 };

typedef struct {
    uint32_t flags;
    float dt;
    float observation[POLICY_OBSERVATIONS];
} request;

static request asked;
static policy_state state;
static policy_action action[POLICY_ACTIONS];
static struct {
    uint32_t ticks, stack;
} spent;

#if PORT_PAINTED > 0
#define PAINT 0xA5U

/* Let the step run on a painted stack: what it leaves unpainted is how deep it went, its return address included. */
static __attribute__((noinline)) void measured_step(void)
{
    volatile unsigned char *top, *at;
    PORT_STACK_POINTER(top);
    for (at = top - PORT_PAINTED; at < top - 1; at++) {
        *at = PAINT;
    }
    port_start_counting();
    policy_step(&state, asked.observation, asked.dt, action);
    spent.ticks = port_counted();
    at = top - PORT_PAINTED;
    while (at < top && *at == PAINT) {
        at++;
    }
    spent.stack = (uint32_t)(top - at);
}
#else
static void measured_step(void)
{
    policy_step(&state, asked.observation, asked.dt, action);
}
#endif

static unsigned char frame[8 + 4 * POLICY_ACTIONS + sizeof(policy_state)];

static unsigned char *put(unsigned char *to, const void *from, unsigned n)
{
    const unsigned char *at = from;
    while (n-- > 0) {
        *to++ = *at++;
    }
    return to;
}

static void answer(void)
{
    unsigned i;
    unsigned char *at = put(frame, &spent, sizeof spent);
    for (i = 0; i < POLICY_ACTIONS; i++) {
        if (sizeof action[0] == 4) {
            at = put(at, &action[i], 4);
        } else { /* an int of 16 bits */
            int32_t number = (int32_t)action[i];
            at = put(at, &number, 4);
        }
    }
    put(at, &state, sizeof state);
    port_write(frame, sizeof frame); /* in one piece: a call of the host costs more than a step */
}

static void hello(void)
{
    uint32_t words[5];
    words[0] = PROOF_MAGIC;
    words[1] = (uint32_t)sizeof state;
    port_start_counting();
    words[2] = port_known_instructions();
    words[3] = port_counted();
    port_start_counting();
    words[4] = port_counted();
    port_write(words, sizeof words);
}

int main(void)
{
    port_begin();
    hello();
    policy_reset(&state);
    while (port_read(&asked, sizeof asked) && !(asked.flags & END)) {
        if (asked.flags & RESET) {
            policy_reset(&state);
        }
        spent.ticks = spent.stack = 0;
        if (asked.flags & MEASURE) {
            measured_step();
        } else {
            policy_step(&state, asked.observation, asked.dt, action);
        }
        answer();
    }
    port_end(0);
    return 0;
}

#endif
