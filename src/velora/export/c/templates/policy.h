/* @TITLE@
 *
 * Written by velora export @VERSION@: a policy in C99, @NUMBERS@. It needs no memory but what you give it, no mathematical
 * library and no other file but policy.c; selftest.c, main.c and the Makefile are for your computer, and selftest.c
 * for a first try on the device.
 *
 *   policy_state s;
 *   float observation[POLICY_OBSERVATIONS];
 *   policy_action action[POLICY_ACTIONS];
 *   policy_reset(&s);                            at the start of an episode
 *   policy_step(&s, observation, dt, action);    at every control step
 *
@CONTRACT@
 */
#ifndef POLICY_H
#define POLICY_H

@INCLUDE@#ifdef __cplusplus
extern "C" {
#endif

#define POLICY_OBSERVATIONS @OBSERVATIONS@
#define POLICY_ACTIONS @ACTIONS@
#define POLICY_STATES @STATES@
/* SHA-256 of the checkpoint's metadata; empty if the agent came from no checkpoint. */
#define POLICY_DIGEST "@DIGEST@"
/* An observation beyond this, or one that is no number, is taken for a broken sensor. */
#define POLICY_LARGEST_OBSERVATION @LARGEST@

typedef struct {
@STATE@} policy_state;

typedef @ACTION@ policy_action;

/* Begin an episode. */
void policy_reset(policy_state *s);

/* Advance the state by dt control steps to an observation, and choose the action. */
void policy_step(policy_state *s, const float observation[POLICY_OBSERVATIONS], float dt,
                 policy_action action[POLICY_ACTIONS]);

/* Compute the example steps of selftest.c: 0 if all is well, 1 if an action is off by more than the tolerance, 2 if
 * actions are right but @BITS_DIFFER@. */
int policy_selftest(void);

#ifdef __cplusplus
}
#endif

#endif
