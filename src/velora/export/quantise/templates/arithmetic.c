/* == down == */
/* x / 2^bits, rounded down; the shift of a negative number would be left to the compiler. */
static inline int32_t down(int32_t x, int bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}

/* == limited == */
static inline int16_t limited(int32_t x)
{
    return (int16_t)(x > 32767 ? 32767 : x < -32767 ? -32767 : x);
}

/* == sigmoid == */
/* 1 / (1 + exp(-x)) in units of 2^-15, of x in units of 2^-12; straight pieces from 0 to 8. */
static const uint16_t sigmoids[] TABLE = {
@SIGMOID@
};

static uint16_t sigmoid(int32_t x)
{
    const uint32_t far = (uint32_t)(x < 0 ? -x : x);
    const uint16_t size = far > 32767 ? 32767 : (uint16_t)far;
    const uint16_t *const piece = sigmoids + (size >> 8);
    const uint16_t left = WORD(piece);
    const uint16_t rise = (uint16_t)(WORD(piece + 1) - left);
    const uint16_t right = (uint16_t)(left + (((uint32_t)rise * (uint8_t)size) >> 8));
    return x < 0 ? (uint16_t)(32768 - right) : right;
}

/* == tanh_of: needs sigmoid == */
/* tanh(x) in units of 2^-15, of 2 x in units of 2^-12 */
static int16_t tanh_of(int32_t twice)
{
    return (int16_t)(2 * (int32_t)sigmoid(twice) - 32768);
}

/* == product: needs down == */
/* a b, one of them in units of 2^-15, rounded to the nearest. */
static inline int16_t product(int32_t a, int32_t b)
{
    return (int16_t)down(a * b + 16384, 15);
}

/* == mix: needs down == */
/* (1 - gate) a + gate b, the gate in units of 2^-15 */
static int16_t mix(int32_t a, int32_t b, uint16_t gate)
{
    return (int16_t)(a + down((b - a) * (int32_t)gate + 16384, 15));
}

/* == candidate: needs tanh_of, sigmoid, product, limited == */
/* tanh(c + sigmoid(reset) d) */
static int16_t candidate(int32_t reset, int32_t c, int32_t d)
{
    return tanh_of(2 * (c + product(limited(d), sigmoid(reset))));
}

/* == softplus == */
/* log2(e) log(1 + exp(x)) in units of 2^-15, of x in units of 2^-12 */
static const uint16_t tails[] TABLE = {
@SOFTPLUS@
};

static uint32_t softplus(int32_t x)
{
    const uint32_t far = (uint32_t)(x < 0 ? -x : x);
    const uint32_t size = far > 32767 ? 32767 : far;
    const uint16_t *const piece = tails + (size >> 9);
    const uint16_t left = WORD(piece);
    const uint32_t tail = left - (((uint32_t)(uint16_t)(left - WORD(piece + 1)) * (size & 511)) >> 9);
    return x > 0 ? tail + ((size * 47274) >> 12) : tail;
}

/* == stretch == */
/* A rate below 2^19, in units of 2^-15, by the elapsed time. */
static uint32_t stretch(uint32_t rate, uint16_t dt)
{
    return ((dt * (rate >> 15)) << @UP@) + ((dt * (rate & 32767)) >> @DTBITS@);
}

/* == decay == */
/* 2^-x in units of 2^-15, of x in the same units; 0 from 16 on */
static const uint16_t powers[] TABLE = {
@POWER@
};

static uint16_t decay(uint32_t x)
{
    const uint16_t *const piece = powers + ((x & 32767) >> 10);
    const uint16_t left = WORD(piece);
    const uint32_t fall = ((uint32_t)(uint16_t)(left - WORD(piece + 1)) * (x & 1023)) >> 10;
    return (uint16_t)((x >> 15) < 16 ? (left - fall) >> (x >> 15) : 0);
}

/* == logarithm == */
/* log2(dt) in units of 2^-15, from the bits of dt */
static const uint16_t logarithms[] TABLE = {
@LOGARITHM@
};

static float logarithm(float dt)
{
    both of;
    of.number = dt;
    const uint32_t fraction = of.bits & UINT32_C(0x7fffff);
    const uint16_t *const piece = logarithms + (fraction >> 18);
    const uint16_t left = WORD(piece);
    const uint32_t rise = ((uint32_t)(uint16_t)(WORD(piece + 1) - left) * ((fraction >> 3) & 32767)) >> 15;
    return (float)(((int32_t)(of.bits >> 23) - 127) * 32768 + (int32_t)(left + rise));
}

/* == remember: needs down, tanh_of, sigmoid == */
/* The new memory of an LSTM, in units of 2^-20 and below 32. */
static int32_t remember(int32_t memory, int32_t candidate, int32_t accept, int32_t keep)
{
    const int32_t kept = sigmoid(keep);
    const int32_t part = (int32_t)((uint32_t)memory & 32767);
    const int32_t sum = down(memory, 15) * kept + ((part * kept) >> 15)
                        + down((int32_t)sigmoid(accept) * tanh_of(candidate), 10);
    return sum > 33554431 ? 33554431 : sum < -33554431 ? -33554431 : sum;
}
