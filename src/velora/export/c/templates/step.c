void policy_reset(policy_state *s)
{
    for (int i = 0; i < POLICY_STATES; i++) {
        s->state[i] = 0.0f;
    }
}

/* Whether every number of an observation can be computed with. */
static int is_usable(const float observation[POLICY_OBSERVATIONS])
{
    for (int k = 0; k < POLICY_OBSERVATIONS; k++) {
        if (!is_within(observation[k], POLICY_LARGEST_OBSERVATION)) {
            return 0;
        }
    }
    return 1;
}

void policy_step(policy_state *s, const float observation[POLICY_OBSERVATIONS], float dt,
                 policy_action action[POLICY_ACTIONS])
{
    float *const state = s->state;
@UNUSED@    if (is_usable(observation)@CHECK_DT@) {
@CLIP_DT@@LAYERS@
    }
@ACTION@
}
