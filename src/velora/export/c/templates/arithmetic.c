/* == high == */
/* The upper half of a product: fractions of 2^32 are multiplied by it. */
static uint32_t high(uint32_t a, uint32_t b)
{
    return (uint32_t)(((uint64_t)a * b) >> 32);
}

/* == bits == */
/* A number of 32 bits, as a float and as its bits. */
typedef union {
    float number;
    uint32_t bits;
} both;

/* == halving: needs high == */
/* 2^-g in units of 2^-31, for a fraction g of 2^32: a polynomial of degree 5, relative error 9e-8. */
static uint32_t halving(uint32_t g)
{
    uint32_t p = @H4@ - high(g, @H5@);
    p = @H3@ - high(g, p);
    p = @H2@ - high(g, p);
    p = @H1@ - high(g, p);
    return UINT32_C(0x80000000) - (high(g, p) >> 1);
}

/* == halvings: needs bits, high == */
/* How often exp(-|x| * 2^doublings) halves 1, in units of 2^-25; a large number from |x| = 64 / 2^doublings on. */
static uint32_t halvings(uint32_t bits, uint32_t doublings)
{
    const uint32_t exponent = ((bits >> 23) & 0xff) + doublings;
    if (exponent > 132) {
        return UINT32_C(0xffffffff);
    }
    if (exponent < 101) {
        return 0;
    }
    /* |x| as a fraction, by log2(e) in units of 2^-31 */
    return high((bits << 8) | UINT32_C(0x80000000), @LOG2_E@) >> (132 - exponent);
}

/* == logistic: needs halvings, halving == */
/* 1 / (1 + exp(-x * 2^doublings)) in units of 2^-31; 0 or 2^31 far away from 0. */
static uint32_t logistic(float x, uint32_t doublings)
{
    both of;
    of.number = x;
    const uint32_t t = halvings(of.bits, doublings);
    const uint32_t e = t < (UINT32_C(31) << 25) ? halving(t << 7) >> (t >> 25) : 0;
    const uint32_t d = UINT32_C(0x40000000) + (e >> 1); /* (1 + e) / 2 */
    uint32_t y = (UINT32_C(0xffffffff) / (d >> 15)) << 14; /* 1 / (1 + e) to 16 bits, and a step of Newton's */
    y = (high(y, (UINT32_C(0x40000000) - high(d, y)) << 2) << 1) + 2;
    return (of.bits >> 31) != 0 ? UINT32_C(0x80000000) - y : y;
}

/* == sigmoid: needs logistic == */
static float sigmoid(float x)
{
    return (float)(int32_t)(logistic(x, 0) >> 1) * 0x1p-30f;
}

/* == tanh_of: needs logistic == */
static float tanh_of(float x)
{
    return (float)((int32_t)(logistic(x, 1) >> 1) - INT32_C(0x20000000)) * 0x1p-29f;
}

/* == blend: needs logistic == */
/* (1 - g) tanh(a) + g tanh(b), g = sigmoid(gate) */
static float blend(float a, float b, float gate)
{
    const uint32_t g = logistic(gate, 0);
    const uint32_t kept = high(UINT32_C(0x80000000) - g, logistic(a, 1));
    return (float)((int32_t)(kept + high(g, logistic(b, 1))) - INT32_C(0x20000000)) * 0x1p-29f;
}

/* == blend_no_gate: needs logistic == */
/* tanh(a) + g tanh(b), g = sigmoid(gate) */
static float blend_no_gate(float a, float b, float gate)
{
    const uint32_t g = logistic(gate, 0);
    const uint32_t sum = (logistic(a, 1) >> 1) + high(g, logistic(b, 1));
    return (float)((int32_t)sum - (int32_t)(g >> 2) - INT32_C(0x20000000)) * 0x1p-29f;
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
    of.number = (float)(int32_t)(halving(t << 7) >> 1);
    of.bits -= ((t >> 25) + 30) << 23;
    return of.number;
}

/* == log_1p: needs high == */
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
    return (float)(int32_t)(p >> 1) * 0x1p-31f;
}

/* == softplus: needs decay, log_1p == */
/* log(1 + exp(x)) */
static float softplus(float x)
{
    const float e = decay(x);
    const float f = e < 1.0f ? e * 0x1p31f : 0x1.fffffep+30f;
    const float log_of_1_and_e = e * log_1p((uint32_t)(int32_t)f << 1);
    return x > 0.0f ? x + log_of_1_and_e : log_of_1_and_e;
}

/* == log_of: needs bits, log_1p == */
/* log(x), for a positive number that is no denormal one */
static float log_of(float x)
{
    both of;
    of.number = x;
    const uint32_t f = of.bits << 9;
    const float exponent = (float)((int32_t)(of.bits >> 23) - 127);
    return exponent * 0x1.62e43p-1f + ((float)(int32_t)(f >> 1) * 0x1p-31f) * log_1p(f);
}
