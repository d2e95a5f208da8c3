void policy_reset(policy_state *s)
{
    for (int i = 0; i < @NEURONS@; i++) {
        s->state[i] = 0;
    }
@MEMORY@}

/* Whether every number of an observation can be computed with; the bits of floats are in the order of their sizes. */
static int is_usable(const float observation[POLICY_OBSERVATIONS])
{
    both most, of;
    most.number = POLICY_LARGEST_OBSERVATION;
    for (int k = 0; k < POLICY_OBSERVATIONS; k++) {
        of.number = observation[k];
        if ((of.bits & UINT32_C(0x7fffffff)) > most.bits) {
            return 0;
        }
    }
    return 1;
}

/* An input in whole numbers: its distance from the middle of its range, rounded to 16 bits. */
static int16_t whole(float x, const float *scale)
{
    both of;
    of.number = (x - FLOAT(scale)) * FLOAT(scale + 1);
    const int is_negative = (of.bits >> 31) != 0;
    of.bits &= UINT32_C(0x7fffffff);
    const int16_t size = (int16_t)(of.bits < UINT32_C(0x46fffe00) ? (int32_t)(of.number + 0.5f) : 32767);
    return (int16_t)(is_negative ? -size : size);
}

void policy_step(policy_state *s, const float observation[POLICY_OBSERVATIONS], float dt,
                 policy_action action[POLICY_ACTIONS])
{
@UNUSED@    if (is_usable(observation)@CHECKDT@) {
        walk at = {weights, numbers@SOURCES@};
        int16_t input[@INPUTS@];
        for (int k = 0; k < POLICY_OBSERVATIONS; k++) {
            input[k] = whole(observation[k], scales + 2 * k);
        }
@LAYERS@
    }
@ACTION@
}
