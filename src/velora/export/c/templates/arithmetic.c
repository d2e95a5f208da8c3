/* == high == */
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

/* == bits == */
/* A float and its bits. */
typedef union {
    float number;
    uint32_t bits;
    int32_t whole;
} both;

/* == bits_of: needs bits == */
static uint32_t bits_of(float x)
{
    both of;
    of.number = x;
    return of.bits;
}

/* == is_within: needs bits_of == */
/* Whether |x| is at most a bound; not where x is no number. Bits are compared, since soft floats compare slowly. */
static int is_within(float x, float bound)
{
    return (bits_of(x) & UINT32_C(0x7fffffff)) <= bits_of(bound);
}

/* == order: needs bits == */
/* A whole number that is in the same order as x. */
static int32_t order(float x)
{
    both of;
    of.number = x;
    return of.whole < 0 ? of.whole ^ INT32_C(0x7fffffff) : of.whole;
}

/* == clip: needs order == */
static float clip(float x, float low, float high)
{
    return order(x) < order(low) ? low : order(x) > order(high) ? high : x;
}

/* == above_zero: needs bits == */
static float above_zero(float x)
{
    both of;
    of.number = x;
    return of.whole < 0 ? 0.0f : x;
}

/* == magnitude: needs bits == */
static float magnitude(float x)
{
    both of;
    of.number = x;
    of.bits &= UINT32_C(0x7fffffff);
    return of.number;
}

/* == halving: needs high == */
/* 2^-t in units of 2^-30, for a fraction t of 2^24: of 32 tabled ones the next above, times a polynomial of degree 2 for
 * the rest; relative error 7e-8. */
static uint32_t halving(uint32_t t)
{
    static const uint32_t powers[] TABLE = {
@POWERS@
    };
    const uint32_t above = LONG(powers + ((uint8_t)(t >> 16) >> 3));
    const uint32_t g = t << 13;
    const uint32_t slope = @SLOPE@ - (((uint32_t)(uint16_t)(g >> 16) * @CURVATURE@) >> 12);
    return above - high(above, high(g, slope));
}

/* == halvings: needs bits, high == */
/* How often exp(-|x| * 2^doublings) halves 1, in units of 2^-24; a large number from |x| = 64 / 2^doublings on. */
static uint32_t halvings(uint32_t bits, unsigned doublings)
{
    const unsigned exponent = (unsigned)((bits << 1) >> 24) + doublings;
    if (exponent - 102 > 30) {
        return exponent > 132 ? UINT32_C(0xffffffff) : 0;
    }
    /* |x| as a fraction, by log2(e) in units of 2^-31 */
    return high((bits << 8) | UINT32_C(0x80000000), @LOG2_E@) >> (133 - exponent);
}

/* == quotient == */
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

/* == logistic: needs halvings, halving, quotient, bits_of == */
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

/* == scaled: needs bits == */
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

/* == sigmoid: needs logistic, scaled == */
static float sigmoid(float x)
{
    return scaled((int32_t)logistic(x, 0), -30);
}

/* == tanh_of: needs logistic, scaled == */
static float tanh_of(float x)
{
    return scaled((int32_t)logistic(x, 1) - INT32_C(0x20000000), -29);
}

/* == blend: needs logistic, scaled == */
/* (1 - g) tanh(a) + g tanh(b), g = sigmoid(gate) */
static float blend(float a, float b, float gate)
{
    const uint32_t g = logistic(gate, 0);
    const uint32_t kept = high(UINT32_C(0x40000000) - g, logistic(a, 1));
    return scaled((int32_t)(kept + high(g, logistic(b, 1))) - INT32_C(0x08000000), -27);
}

/* == blend_no_gate: needs logistic, scaled == */
/* tanh(a) + g tanh(b), g = sigmoid(gate) */
static float blend_no_gate(float a, float b, float gate)
{
    const uint32_t g = logistic(gate, 0);
    const uint32_t sum = (logistic(a, 1) >> 1) + (high(g, logistic(b, 1)) << 1);
    return scaled((int32_t)sum - (int32_t)(g >> 2) - INT32_C(0x10000000), -28);
}

/* == decay: needs halvings, halving == */
/* exp(-|x|); 0 from 64 on */
static float decay(float x)
{
    both of;
    of.number = x;
    const uint32_t t = halvings(of.bits, 0);
    if (t == UINT32_C(0xffffffff)) {
        return 0.0f;
    }
    of.number = (float)(int32_t)halving(t);
    of.bits -= ((t >> 24) + 30) << 23;
    return of.number;
}

/* == log_1p: needs high, scaled == */
/* log(1 + f) / f, for a fraction f of 2^32: a polynomial of degree 8, relative error 5e-9. */
static float log_1p(uint32_t f)
{
    static const uint32_t c[] TABLE = {
@LOG@
    };
    uint32_t p = 0;
    for (int k = @LAST_LOG@; k >= 0; k--) {
        p = LONG(c + k) - high(f, p);
    }
    return scaled((int32_t)(p >> 1), -31);
}

/* == softplus: needs decay, log_1p, above_zero, clip == */
/* log(1 + exp(x)) */
static float softplus(float x)
{
    const float e = decay(x);
    const float below_1 = clip(e, 0.0f, 0x1.fffffep-1f);
    return above_zero(x) + e * log_1p((uint32_t)(int32_t)(below_1 * 0x1p31f) << 1);
}

/* == log_of: needs bits, log_1p == */
/* log(x), for a positive number that is no denormal one */
static float log_of(float x)
{
    both of;
    of.number = x;
    const uint32_t f = of.bits << 9;
    const float exponent = (float)((int32_t)((of.bits << 1) >> 24) - 127);
    return exponent * 0x1.62e43p-1f + scaled((int32_t)(f >> 1), -31) * log_1p(f);
}
