/* A vector of VL floats and what the kernels do with it.

   With GNU C (GCC, Clang) it is a vector type that the compiler maps to the widest registers of the target; elsewhere,
   or with VELORA_PLAIN, an array of VL floats and loops. Both compute the same. */
#ifndef VELORA_VECTOR_H
#define VELORA_VECTOR_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#define INLINE static __forceinline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

#if defined(VELORA_AVX2) || defined(VELORA_AVX512)
#include <immintrin.h>
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
INLINE vf v_set(float a) { return a - (vf){0}; } /* x - 0 is x, so that only the broadcast is left; x + 0 is not */
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
#if defined(VELORA_AVX512)
INLINE vf v_clamp(vf x, float low, float high) {
    return (vf)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)x));
}
#elif defined(VELORA_AVX2)
INLINE vf v_clamp(vf x, float low, float high) {
    return (vf)_mm256_max_ps(_mm256_set1_ps(low), _mm256_min_ps(_mm256_set1_ps(high), (__m256)x));
}
#else
INLINE vf v_clamp(vf x, float low, float high) {
    x = v_where_positive(v_sub(x, v_set(high)), v_set(high), x);
    return v_where_positive(v_sub(v_set(low), x), v_set(low), x);
}
#endif

/* exp(x) = p * (1 + q), p a power of two and |q| < 0.42, for x in [-87, 88]; q = exp(r) - 1 with |r| <= ln(2) / 2 is its
   Taylor series up to r**7, with a relative error below 2e-8. */
INLINE vf v_exp(vf x) {
    x = v_clamp(x, -87.0f, 88.0f);
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
    vf q = v_fma(v_mul(s, r), r, r), p = v_power_of_two(shifted);
    return v_fma(p, q, p);
}

/* x * P(x**2) / Q(x**2), where P has six coefficients, the constant one first, and Q three after 1. */
INLINE vf v_odd_rational(vf x, const float p[6], const float q[3]) {
    vf z = v_mul(x, x);
    vf above = v_fma(v_set(p[5]), z, v_set(p[4])), below = v_fma(v_set(q[2]), z, v_set(q[1]));
    above = v_fma(above, z, v_set(p[3])), below = v_fma(below, z, v_set(q[0]));
    above = v_fma(above, z, v_set(p[2])), below = v_fma(below, z, v_set(1.0f));
    above = v_fma(above, z, v_set(p[1]));
    above = v_fma(above, z, v_set(p[0]));
    return v_div(v_mul(x, above), below);
}

/* Fitted to the least relative error on [-8, 8] (Lawson's iteration, 2e-8 before rounding). In float32 it is within 4e-7
   of tanh everywhere, and never beyond 1. */
INLINE vf v_tanh(vf x) {
    const float p[] = {0.999999981f, 0.129793682f, 0.00298601696f, 9.88006526e-06f, -1.47083987e-08f, 2.35192057e-11f};
    const float q[] = {0.463126844f, 0.0240285608f, 0.000237224595f};
    return v_odd_rational(v_clamp(x, -8.0f, 8.0f), p, q);
}

/* (1 + tanh(x / 2)) / 2, with the halves in the coefficients. */
INLINE vf v_sigmoid(vf x) {
    const float p[] = {0.249999995f, 0.00811210511f, 4.6656515e-05f, 3.85940049e-08f, -1.43636706e-11f, 5.74199357e-15f};
    const float q[] = {0.115781711f, 0.00150178505f, 3.7066343e-06f};
    return v_add(v_odd_rational(v_clamp(x, -16.0f, 16.0f), p, q), v_set(0.5f));
}

/* log(1 + e) for e in [0, 1]: twice the inverse tanh of s = e / (2 + e), an odd polynomial fitted as above (4e-9). */
INLINE vf v_log_one_plus(vf e) {
    vf s = v_div(e, v_add(e, v_set(2.0f))), z = v_mul(s, s);
    vf p = v_fma(v_set(0.281783352f), z, v_set(0.27960603f));
    p = v_fma(p, z, v_set(0.400249102f));
    p = v_fma(p, z, v_set(0.666663147f));
    return v_mul(s, v_fma(p, z, v_set(2.0f)));
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
#if VL == 16
#define LOWER 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define UPPER 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
/* Sum the lanes of each of sixteen vectors, in the order of v_sums8. */
INLINE vf v_sums16(const vf a[16]) {
    vf by2[8], by4[4], by8[2];
    for (int i = 0; i < 8; i++) by2[i] = SHUFFLE2(a[2 * i], a[2 * i + 1], EVEN1) + SHUFFLE2(a[2 * i], a[2 * i + 1], ODD1);
    for (int i = 0; i < 4; i++)
        by4[i] = SHUFFLE2(by2[2 * i], by2[2 * i + 1], EVEN2) + SHUFFLE2(by2[2 * i], by2[2 * i + 1], ODD2);
    for (int i = 0; i < 2; i++)
        by8[i] = SHUFFLE2(by4[2 * i], by4[2 * i + 1], EVEN4) + SHUFFLE2(by4[2 * i], by4[2 * i + 1], ODD4);
    return SHUFFLE2(by8[0], by8[1], LOWER) + SHUFFLE2(by8[0], by8[1], UPPER);
}
#endif
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
