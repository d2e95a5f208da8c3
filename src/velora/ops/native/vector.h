/* A vector of VL floats and what the kernels do with it.

   With GNU C (GCC, Clang) it is a vector type that the compiler maps to the widest registers of the target; elsewhere,
   or with VELORA_PLAIN, an array of VL floats and loops. Both compute the same. */
#ifndef VELORA_VECTOR_H
#define VELORA_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#define INLINE static __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

#if defined(__GNUC__) && !defined(VELORA_PLAIN)

#ifndef VL
#define VL 8
#endif
typedef float vf __attribute__((vector_size(4 * VL)));
typedef float vf_loose __attribute__((vector_size(4 * VL), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(4 * VL)));

INLINE vf v_load(const float *p) { return *(const vf_loose *)p; }
INLINE void v_store(float *p, vf a) { *(vf_loose *)p = a; }
INLINE vf v_set(float a) { return (vf){0} + a; }
INLINE vf v_add(vf a, vf b) { return a + b; }
INLINE vf v_sub(vf a, vf b) { return a - b; }
INLINE vf v_mul(vf a, vf b) { return a * b; }
INLINE vf v_div(vf a, vf b) { return a / b; }
INLINE vf v_fma(vf a, vf b, vf c) { return a * b + c; } /* contracted where the target has FMA */
/* a where x > 0, else b. NaN counts as not greater. */
INLINE vf v_where_positive(vf x, vf a, vf b) {
    vi mask = x > (vf){0};
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}
INLINE vf v_abs(vf a) { return (vf)((vi)a & 0x7fffffff); }
/* 2**n for whole n in [-126, 127] that was made whole by adding ROUND (its low bits then hold n). */
INLINE vf v_power_of_two(vf n_rounded) { return (vf)(((vi)n_rounded - 0x4b400000 + 127) << 23); }

#else

#undef VL
#define VL 8
typedef struct {
    float v[VL];
} vf;
#define EACH for (int i_ = 0; i_ < VL; i_++)

INLINE vf v_load(const float *p) { vf r; memcpy(&r, p, sizeof r); return r; }
INLINE void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
INLINE vf v_set(float a) { vf r; EACH r.v[i_] = a; return r; }
INLINE vf v_add(vf a, vf b) { EACH a.v[i_] += b.v[i_]; return a; }
INLINE vf v_sub(vf a, vf b) { EACH a.v[i_] -= b.v[i_]; return a; }
INLINE vf v_mul(vf a, vf b) { EACH a.v[i_] *= b.v[i_]; return a; }
INLINE vf v_div(vf a, vf b) { EACH a.v[i_] /= b.v[i_]; return a; }
INLINE vf v_fma(vf a, vf b, vf c) { EACH c.v[i_] += a.v[i_] * b.v[i_]; return c; }
INLINE vf v_where_positive(vf x, vf a, vf b) { EACH a.v[i_] = x.v[i_] > 0.0f ? a.v[i_] : b.v[i_]; return a; }
INLINE vf v_abs(vf a) { EACH a.v[i_] = fabsf(a.v[i_]); return a; }
INLINE vf v_power_of_two(vf n_rounded) {
    EACH {
        int32_t bits;
        memcpy(&bits, &n_rounded.v[i_], 4);
        bits = (bits - 0x4b400000 + 127) << 23;
        memcpy(&n_rounded.v[i_], &bits, 4);
    }
    return n_rounded;
}
#endif

#define ROUND 12582912.0f /* 1.5 * 2**23: adding it rounds to a whole number, kept in the low bits */

INLINE vf v_zero(void) { return v_set(0.0f); }
INLINE vf v_neg(vf a) { return v_sub(v_zero(), a); }
/* Clamp, and keep a NaN: every comparison with it is false, and then x itself is taken. */
INLINE vf v_clamp(vf x, float low, float high) {
    x = v_where_positive(v_sub(x, v_set(high)), v_set(high), x);
    return v_where_positive(v_sub(v_set(low), x), v_set(low), x);
}

/* Split exp(x) = p * (1 + q), p a power of two and |q| < 0.42, for x in [-87, 87].
   q = exp(r) - 1 with |r| <= ln(2) / 2, as its Taylor series up to r**7: relative error below 2e-8. */
INLINE void v_exp_parts(vf x, vf *p, vf *q) {
    vf shifted = v_fma(x, v_set(1.44269504088896341f), v_set(ROUND));
    vf n = v_sub(shifted, v_set(ROUND));
    vf r = v_fma(n, v_set(-0.693359375f), x); /* ln 2 in two parts; the first has few bits, so the product is exact */
    r = v_fma(n, v_set(2.12194440054690583e-4f), r);
    vf s = v_set(1.0f / 5040);
    s = v_fma(s, r, v_set(1.0f / 720));
    s = v_fma(s, r, v_set(1.0f / 120));
    s = v_fma(s, r, v_set(1.0f / 24));
    s = v_fma(s, r, v_set(1.0f / 6));
    s = v_fma(s, r, v_set(0.5f));
    *q = v_fma(v_mul(s, r), r, r);
    *p = v_power_of_two(shifted);
}

INLINE vf v_exp(vf x) {
    vf p, q;
    v_exp_parts(v_clamp(x, -87.0f, 88.0f), &p, &q);
    return v_fma(p, q, p);
}

/* tanh(x) = m / (m + 2) with m = exp(2x) - 1, which keeps its relative precision near 0. */
INLINE vf v_tanh(vf x) {
    vf p, q;
    x = v_clamp(x, -9.0f, 9.0f);
    v_exp_parts(v_add(x, x), &p, &q);
    vf m = v_fma(p, q, v_sub(p, v_set(1.0f)));
    return v_div(m, v_add(m, v_set(2.0f)));
}

INLINE vf v_sigmoid(vf x) {
    vf e = v_exp(x);
    return v_div(e, v_add(e, v_set(1.0f)));
}

/* Sum the lanes of each of eight vectors. */
#if defined(__GNUC__) && !defined(VELORA_PLAIN)
#if defined(__clang__)
#define SHUFFLE2(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE2(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif
#if VL == 16
#define EVEN1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define ODD1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define EVEN2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define ODD2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EVEN4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define ODD4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#else
#define EVEN1 0, 8, 2, 10, 4, 12, 6, 14
#define ODD1 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN2 0, 1, 8, 9, 4, 5, 12, 13
#define ODD2 2, 3, 10, 11, 6, 7, 14, 15
#define EVEN4 0, 1, 2, 3, 8, 9, 10, 11
#define ODD4 4, 5, 6, 7, 12, 13, 14, 15
#endif
INLINE void v_sums8(vf a, vf b, vf c, vf d, vf e, vf f, vf g, vf h, float out[8]) {
    vf ab = SHUFFLE2(a, b, EVEN1) + SHUFFLE2(a, b, ODD1), cd = SHUFFLE2(c, d, EVEN1) + SHUFFLE2(c, d, ODD1);
    vf ef = SHUFFLE2(e, f, EVEN1) + SHUFFLE2(e, f, ODD1), gh = SHUFFLE2(g, h, EVEN1) + SHUFFLE2(g, h, ODD1);
    vf abcd = SHUFFLE2(ab, cd, EVEN2) + SHUFFLE2(ab, cd, ODD2);
    vf efgh = SHUFFLE2(ef, gh, EVEN2) + SHUFFLE2(ef, gh, ODD2);
    vf all = SHUFFLE2(abcd, efgh, EVEN4) + SHUFFLE2(abcd, efgh, ODD4);
    float lanes[VL];
    v_store(lanes, all);
    for (int i = 0; i < 8; i++) out[i] = VL == 16 ? lanes[i] + lanes[(i + 8) % VL] : lanes[i];
}
#else
INLINE float v_sum(vf a) {
    float s = 0;
    EACH s += a.v[i_];
    return s;
}
INLINE void v_sums8(vf a, vf b, vf c, vf d, vf e, vf f, vf g, vf h, float out[8]) {
    out[0] = v_sum(a); out[1] = v_sum(b); out[2] = v_sum(c); out[3] = v_sum(d);
    out[4] = v_sum(e); out[5] = v_sum(f); out[6] = v_sum(g); out[7] = v_sum(h);
}
#endif

#endif
