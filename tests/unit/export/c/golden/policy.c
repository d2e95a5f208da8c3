/* Written by velora export; see policy.h. */
#include "policy.h"

#include <float.h>
#include <stdint.h>

#if FLT_RADIX != 2 || FLT_MANT_DIG != 24 || FLT_MAX_EXP != 128
#error "this policy needs float to be the binary32 of IEEE 754"
#endif

#ifdef __AVR__ /* constants stay in flash */
#include <avr/pgmspace.h>
#define TABLE PROGMEM
#define NUMBER(place) pgm_read_float(place)
#define SOURCE(place) pgm_read_byte(place)
#define LONG(place) pgm_read_dword(place)
#else
#define TABLE
#define NUMBER(place) (*(place))
#define SOURCE(place) (*(place))
#define LONG(place) (*(place))
#endif

#if defined(__AVR__) || defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define SLOW_DIVISION
#endif
#if defined(__AVR__) || defined(__SOFTFP__) || defined(__riscv_float_abi_soft)
#define SLOW_FLOATS
#endif

/* A synapse's source: the place of what a neuron reads. */
typedef uint8_t source;

/* ---------------------------------------------------------------------------------------------------- numbers */
/* Of each layer, neuron by neuron: biases, then the weights of each synapse, of all heads together. */

static const float weights_0[] TABLE = {
    0.0f, 0x1p-3f, 0x1p-2f, 0x1.8p-2f, -0x1.4p-1f, -0x1p-3f, 0x1.8p-2f, -0x1p-1f, -0x1p-2f, 0x1p-2f,
    -0x1.4p-1f, -0x1p-3f, 0x1.4p-1f, -0x1p-2f, 0x1p-2f, -0x1.4p-1f, 0x1p-3f, 0x1.4p-1f, -0x1p-2f, 0x1p-2f,
    0x1p-4f, 0x1.8p-3f, 0x1.4p-2f, 0x1.cp-2f, -0x1p-1f, 0.0f, 0x1p-1f, -0x1.8p-2f, 0x1.8p-2f, -0x1p-1f, 0.0f,
    0x1p-1f,
};

static const source sources_0[] TABLE = {
    2, 0, 2, 0,
};

static const float readout[] TABLE = {
    0.0f, 0x1p-1f, -0x1p-2f,
};

static const float units[] TABLE = {
    -0x1p+1f, 0x1p+1f, 0x1p+1f,
};

/* ------------------------------------------------------------------------------------------------- arithmetic */

/* The upper half of a product: fractions of 2^32 are multiplied by it. */
#ifdef __AVR__ /* what its 64 bits are returned in ends with what 32 are returned in; its compiler would shift 32 times */
uint32_t high(uint32_t a, uint32_t b) __asm__("__umulsidi3");
#else
static uint32_t high(uint32_t a, uint32_t b)
{
#ifdef SLOW_DIVISION /* and no products of 64 bits */
    const uint16_t a_low = (uint16_t)(a & 0xffff), b_low = (uint16_t)(b & 0xffff);
    const uint16_t a_high = (uint16_t)(a >> 16), b_high = (uint16_t)(b >> 16);
    const uint32_t first = (uint32_t)a_high * b_low + (((uint32_t)a_low * b_low) >> 16);
    const uint32_t second = (uint32_t)a_low * b_high + (first & 0xffff);
    return (uint32_t)a_high * b_high + (first >> 16) + (second >> 16);
#else
    return (uint32_t)(((uint64_t)a * b) >> 32);
#endif
}
#endif

/* A float and its bits. */
typedef union {
    float number;
    uint32_t bits;
    int32_t whole;
} both;

static uint32_t bits_of(float x)
{
    both of;
    of.number = x;
    return of.bits;
}

/* Whether |x| is at most a bound; not where x is no number. Bits are compared, since soft floats compare slowly. */
static int is_within(float x, float bound)
{
    return (bits_of(x) & UINT32_C(0x7fffffff)) <= bits_of(bound);
}

/* A whole number that is in the same order as x. */
static int32_t order(float x)
{
    both of;
    of.number = x;
    return of.whole < 0 ? of.whole ^ INT32_C(0x7fffffff) : of.whole;
}

static float clip(float x, float low, float high)
{
    return order(x) < order(low) ? low : order(x) > order(high) ? high : x;
}

/* 2^-t in units of 2^-30, for a fraction t of 2^24: of 32 tabled ones the next above, times a polynomial of degree 2 for
 * the rest; relative error 7e-8. */
static uint32_t halving(uint32_t t)
{
    static const uint32_t powers[] TABLE = {
        UINT32_C(1073741824), UINT32_C(1050733751), UINT32_C(1028218693), UINT32_C(1006186087),
        UINT32_C(984625594), UINT32_C(963527098), UINT32_C(942880699), UINT32_C(922676710),
        UINT32_C(902905651), UINT32_C(883558244), UINT32_C(864625413), UINT32_C(846098274),
        UINT32_C(827968132), UINT32_C(810226483), UINT32_C(792865000), UINT32_C(775875538),
        UINT32_C(759250125), UINT32_C(742980960), UINT32_C(727060411), UINT32_C(711481005),
        UINT32_C(696235434), UINT32_C(681316545), UINT32_C(666717336), UINT32_C(652430958),
        UINT32_C(638450708), UINT32_C(624770026), UINT32_C(611382493), UINT32_C(598281827),
        UINT32_C(585461881), UINT32_C(572916640), UINT32_C(560640218), UINT32_C(548626854),
    };
    const uint32_t above = LONG(powers + ((uint8_t)(t >> 16) >> 3));
    const uint32_t g = t << 13;
    const uint32_t slope = UINT32_C(93029519) - (((uint32_t)(uint16_t)(g >> 16) * UINT16_C(62344)) >> 12);
    return above - high(above, high(g, slope));
}

/* How often exp(-|x| * 2^doublings) halves 1, in units of 2^-24; a large number from |x| = 64 / 2^doublings on. */
static uint32_t halvings(uint32_t bits, unsigned doublings)
{
    const unsigned exponent = (unsigned)((bits << 1) >> 24) + doublings;
    if (exponent - 102 > 30) {
        return exponent > 132 ? UINT32_C(0xffffffff) : 0;
    }
    /* |x| as a fraction, by log2(e) in units of 2^-31 */
    return high((bits << 8) | UINT32_C(0x80000000), UINT32_C(3098164009)) >> (133 - exponent);
}

/* 2^29 / d, for d from 2^14 to 2^15 */
static uint16_t quotient(uint16_t d)
{
#ifdef SLOW_DIVISION
    uint16_t rest = 0x2000, q = 0;
    for (uint8_t bit = 16; bit > 0; bit--) {
        rest = (uint16_t)(rest << 1);
        q = (uint16_t)(q << 1);
        if (rest >= d) {
            rest = (uint16_t)(rest - d);
            q++;
        }
    }
    return q;
#else
    return (uint16_t)(UINT32_C(0x20000000) / d);
#endif
}

/* 1 / (1 + exp(-x * 2^doublings)) in units of 2^-30; 0 or 2^30 far away from 0. */
static uint32_t logistic(float x, unsigned doublings)
{
    const uint32_t bits = bits_of(x);
    const uint32_t t = halvings(bits, doublings);
    const uint32_t e = t < (UINT32_C(31) << 24) ? halving(t) >> (uint8_t)(t >> 24) : 0;
    const uint32_t d = UINT32_C(0x40000000) + e; /* 1 + e in units of 2^-30 */
    uint32_t y = (uint32_t)quotient((uint16_t)(d >> 16)) << 16; /* 1 / (1 + e) in 2^-31, to 14 bits */
    y = high(y, (UINT32_C(0x40000000) - high(d, y)) << 2); /* and in 2^-30, after a step of Newton's */
    return (bits >> 31) != 0 ? UINT32_C(0x40000000) - y : y;
}

/* A whole number times a power of 2. */
static float scaled(int32_t whole, int exponent)
{
    both of;
    of.number = (float)whole;
#ifdef SLOW_FLOATS
    of.bits += whole != 0 ? (uint32_t)(int32_t)exponent << 23 : 0;
#else
    both power;
    power.bits = (uint32_t)(127 + exponent) << 23;
    of.number *= power.number;
#endif
    return of.number;
}

static float tanh_of(float x)
{
    return scaled((int32_t)logistic(x, 1) - INT32_C(0x20000000), -29);
}

/* (1 - g) tanh(a) + g tanh(b), g = sigmoid(gate) */
static float blend(float a, float b, float gate)
{
    const uint32_t g = logistic(gate, 0);
    const uint32_t kept = high(UINT32_C(0x40000000) - g, logistic(a, 1));
    return scaled((int32_t)(kept + high(g, logistic(b, 1))) - INT32_C(0x08000000), -27);
}

/* ----------------------------------------------------------------------------------------------------- layers */

static void cfc(const float *weight, const source *from, const float *input, float *own, int n, float dt)
{
    float next[2];
    for (int i = 0; i < n; i++) {
        float a = NUMBER(weight + 0), b = NUMBER(weight + 1), c = NUMBER(weight + 2), d = NUMBER(weight + 3);
        const float *x;
        const source *last;
        weight += 4;
        last = from + SOURCE(from);
        while (from != last) {
            from++;
            x = input + SOURCE(from);
            a += NUMBER(weight + 0) * *x;
            b += NUMBER(weight + 1) * *x;
            c += NUMBER(weight + 2) * *x;
            d += NUMBER(weight + 3) * *x;
            weight += 4;
        }
        from++;
        x = own;
        do {
            a += NUMBER(weight + 0) * *x;
            b += NUMBER(weight + 1) * *x;
            c += NUMBER(weight + 2) * *x;
            d += NUMBER(weight + 3) * *x;
            weight += 4;
            x++;
        } while (x != own + n);
        next[i] = blend(a, b, c * dt + d);
    }
    for (int i = 0; i < n; i++) {
        own[i] = next[i];
    }
}

/* ----------------------------------------------------------------------------------------------------- policy */

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
    if (is_usable(observation) && is_within(dt, 0x1.fffffep+127f)) {
        dt = clip(dt, 0x1.0c6f7ap-20f, 0x1.e848p+19f);
        cfc(weights_0, sources_0, observation, state + 0, 2, dt);
    }
    for (int k = 0; k < 1; k++) {
        const float *weight = readout + 3 * k;
        float out = NUMBER(weight);
        for (int i = 0; i < 2; i++) {
            out += NUMBER(weight + 1 + i) * state[0 + i];
        }
        out = tanh_of(out);
        const float low = NUMBER(units + 3 * k), high = NUMBER(units + 3 * k + 1);
        out = low + (out + 1.0f) * NUMBER(units + 3 * k + 2);
        action[k] = clip(out, low, high);
    }
}

