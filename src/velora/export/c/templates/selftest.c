/* Written by velora export; see policy.h. Link it for policy_selftest() only. */
#include "policy.h"

#include <stdint.h>

#ifdef __AVR__ /* constants stay in flash */
#include <avr/pgmspace.h>
#define TABLE PROGMEM
#define NUMBER(place) pgm_read_float(place)
#define WHOLE(place) ((int)pgm_read_word(place))
#else
#define TABLE
#define NUMBER(place) (*(place))
#define WHOLE(place) (*(place))
#endif

#define STEPS @STEPS@

@TABLES@
@BOTH@/* Count 32 bits into a digest: FNV-1a, the lowest byte first. */
static uint32_t digest(uint32_t before, uint32_t bits)
{
    for (int byte = 0; byte < 4; byte++) {
        before = ((before ^ (bits & 0xff)) * UINT32_C(16777619));
        bits >>= 8;
    }
    return before;
}

int policy_selftest(void)
{
    policy_state s;
    policy_action action[POLICY_ACTIONS];
    uint32_t seen = UINT32_C(2166136261);
    int is_off = 0;

    policy_reset(&s);
    for (int step = 0; step < STEPS; step++) {
        float observation[POLICY_OBSERVATIONS];
        for (int k = 0; k < POLICY_OBSERVATIONS; k++) {
            observation[k] = NUMBER(observations + step * POLICY_OBSERVATIONS + k);
        }
        policy_step(&s, observation, NUMBER(times + step), action);
        for (int k = 0; k < POLICY_ACTIONS; k++) {
@COMPARE@
        }
@STATE@    }
    return is_off ? 1 : seen != @DIGEST@ ? 2 : 0;
}
