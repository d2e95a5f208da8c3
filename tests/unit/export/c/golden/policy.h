/* LiquidTD3 (cfc), trained on Pendulum-v1
 *
 * Written by velora export 0.0.0: a policy in C99, float32. It needs no memory but what you give it, no mathematical
 * library and no other file but policy.c; selftest.c, main.c and the Makefile are for your computer, and selftest.c
 * for a first try on the device.
 *
 *   policy_state s;
 *   float observation[POLICY_OBSERVATIONS];
 *   policy_action action[POLICY_ACTIONS];
 *   policy_reset(&s);                            at the start of an episode
 *   policy_step(&s, observation, dt, action);    at every control step
 *
 * Observation: 3 numbers as the environment gives them, in its order and units.
 * dt: the time since the step before, in control steps: 1 for a step of the length that it was trained with.
 *   From 1e-06 to 1e+06; what is below or above counts as that. Give 1 at an episode's first step.
 * A late step: call policy_step once, with the newest observation and the dt that has passed, not once for each
 *   missed one.
 * Action: 1 number in the environment's units, from -2 to 2; never outside.
 * A bad observation: where a number of the observation is no number (NaN), infinite or beyond 1e+09, or dt is
 *   NaN, the step changes nothing: the state stays, and the action is the one that follows from it, which is
 *   the last step's. Add the time that passed to the next dt.
 * Sizes: 156 bytes of tables in flash and about 1000 of code (Cortex-M, -Os), besides soft floats where there
 *   is no floating-point unit; 8 bytes of RAM for a policy_state; 8 bytes of arrays on the stack, and about 100
 *   of registers. No other RAM, no heap.
 * Re-entrant: nothing is kept outside of policy_state, so that several policies, threads and interrupts may
 *   each have one; two at a time must not share one.
 * The same bits: with -ffp-contract=off and without -ffast-math every processor whose floats are those of IEEE
 *   754, in hardware or software, answers the same bits; selftest.c compares them.
 */
#ifndef POLICY_H
#define POLICY_H

#ifdef __cplusplus
extern "C" {
#endif

#define POLICY_OBSERVATIONS 3
#define POLICY_ACTIONS 1
#define POLICY_STATES 2
/* SHA-256 of the checkpoint's metadata; empty if the agent came from no checkpoint. */
#define POLICY_DIGEST "0000000000000000000000000000000000000000000000000000000000000000"
/* An observation beyond this, or one that is no number, is taken for a broken sensor. */
#define POLICY_LARGEST_OBSERVATION 0x1.dcd65p+29f

typedef struct {
    float state[POLICY_STATES];
} policy_state;

typedef float policy_action;

/* Begin an episode. */
void policy_reset(policy_state *s);

/* Advance the state by dt control steps to an observation, and choose the action. */
void policy_step(policy_state *s, const float observation[POLICY_OBSERVATIONS], float dt,
                 policy_action action[POLICY_ACTIONS]);

/* Compute the example steps of selftest.c: 0 if all is well, 1 if an action is off by more than the tolerance, 2 if
 * actions are right but other bits than expected: then the compiler was allowed to fuse or reorder float operations. */
int policy_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
