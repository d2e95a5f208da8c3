/* The kernels, compiled once for each instruction set by the isa_*.c files, which define KERNEL_SET and NAME. */
#include "native.h"
#include "vector.h"

#define LOOP(l) for (int64_t l = from; l < to; l += VL)

static int64_t padded(int64_t n_batch) { return (n_batch + PAD - 1) / PAD * PAD; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ------------------------------------------------------------------------------------------------ small products */

/* c[m][lanes] (+)= bias[m] + sum over k of w[m * wm + k * wk] * z[k][lanes]. */
static void product(float *c, const float *w, int64_t wm, int64_t wk, const float *z, int64_t n_rows, int64_t n_inner,
                    const float *bias, int adds, int64_t stride, int64_t from, int64_t to) {
    for (int64_t l = from; l < to;) {
        int64_t wide = l + 2 * VL <= to;
        int64_t m = 0;
        for (; m + 4 <= n_rows; m += 4) {
            const float *w0 = w + m * wm, *w1 = w0 + wm, *w2 = w1 + wm, *w3 = w2 + wm;
            float *c0 = c + m * stride + l, *c1 = c0 + stride, *c2 = c1 + stride, *c3 = c2 + stride;
            const float *x = z + l;
            vf a0 = v_zero(), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
            if (bias) {
                a0 = b0 = v_set(bias[m]), a1 = b1 = v_set(bias[m + 1]);
                a2 = b2 = v_set(bias[m + 2]), a3 = b3 = v_set(bias[m + 3]);
            } else if (adds) {
                a0 = v_load(c0), a1 = v_load(c1), a2 = v_load(c2), a3 = v_load(c3);
                if (wide) b0 = v_load(c0 + VL), b1 = v_load(c1 + VL), b2 = v_load(c2 + VL), b3 = v_load(c3 + VL);
            }
            if (wide) {
                for (int64_t k = 0; k < n_inner; k++, x += stride) {
                    vf xa = v_load(x), xb = v_load(x + VL), s;
                    s = v_set(w0[k * wk]), a0 = v_fma(s, xa, a0), b0 = v_fma(s, xb, b0);
                    s = v_set(w1[k * wk]), a1 = v_fma(s, xa, a1), b1 = v_fma(s, xb, b1);
                    s = v_set(w2[k * wk]), a2 = v_fma(s, xa, a2), b2 = v_fma(s, xb, b2);
                    s = v_set(w3[k * wk]), a3 = v_fma(s, xa, a3), b3 = v_fma(s, xb, b3);
                }
                v_store(c0 + VL, b0), v_store(c1 + VL, b1), v_store(c2 + VL, b2), v_store(c3 + VL, b3);
            } else {
                for (int64_t k = 0; k < n_inner; k++, x += stride) {
                    vf xa = v_load(x);
                    a0 = v_fma(v_set(w0[k * wk]), xa, a0), a1 = v_fma(v_set(w1[k * wk]), xa, a1);
                    a2 = v_fma(v_set(w2[k * wk]), xa, a2), a3 = v_fma(v_set(w3[k * wk]), xa, a3);
                }
            }
            v_store(c0, a0), v_store(c1, a1), v_store(c2, a2), v_store(c3, a3);
        }
        for (; m < n_rows; m++) {
            const float *w0 = w + m * wm, *x = z + l;
            float *c0 = c + m * stride + l;
            vf a0 = bias ? v_set(bias[m]) : adds ? v_load(c0) : v_zero();
            vf b0 = bias ? a0 : adds && wide ? v_load(c0 + VL) : v_zero();
            for (int64_t k = 0; k < n_inner; k++, x += stride) {
                vf s = v_set(w0[k * wk]);
                a0 = v_fma(s, v_load(x), a0);
                if (wide) b0 = v_fma(s, v_load(x + VL), b0);
            }
            v_store(c0, a0);
            if (wide) v_store(c0 + VL, b0);
        }
        l += wide ? 2 * VL : VL;
    }
}

/* dw[o][i] = sum over slots and lanes of d[o][lanes] * z[i][lanes], for the rows [first, end) of dw; db[o] the same
   with z = 1. ``d`` and ``z`` advance by d_step and z_step floats from slot to slot. */
static void outer_product(float *dw, float *db, const float *d, int64_t d_step, const float *z, int64_t z_step,
                          int64_t n_slots, int64_t first, int64_t end, int64_t n_in, int64_t stride) {
    for (int64_t o = first; o < end; o += 4) {
        int64_t rows = least(4, end - o);
        for (int64_t i = 0; i < n_in; i += 2) {
            int64_t columns = least(2, n_in - i);
            vf a0 = v_zero(), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
            for (int64_t t = 0; t < n_slots; t++) {
                /* A missing row or column repeats the last one; its sum is thrown away. */
                const float *d0 = d + t * d_step + o * stride, *d1 = d0 + (rows > 1) * stride;
                const float *d2 = d1 + (rows > 2) * stride, *d3 = d2 + (rows > 3) * stride;
                const float *z0 = z + t * z_step + i * stride, *z1 = z0 + (columns > 1) * stride;
                for (int64_t l = 0; l < stride; l += VL) {
                    vf x = v_load(z0 + l), y = v_load(z1 + l), e;
                    e = v_load(d0 + l), a0 = v_fma(e, x, a0), b0 = v_fma(e, y, b0);
                    e = v_load(d1 + l), a1 = v_fma(e, x, a1), b1 = v_fma(e, y, b1);
                    e = v_load(d2 + l), a2 = v_fma(e, x, a2), b2 = v_fma(e, y, b2);
                    e = v_load(d3 + l), a3 = v_fma(e, x, a3), b3 = v_fma(e, y, b3);
                }
            }
            float sums[8];
            v_sums8(a0, a1, a2, a3, b0, b1, b2, b3, sums);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < columns; c++) dw[(o + r) * n_in + i + c] = sums[4 * c + r];
        }
        if (!db) continue;
        vf a[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        for (int64_t t = 0; t < n_slots; t++)
            for (int64_t r = 0; r < rows; r++)
                for (int64_t l = 0; l < stride; l += VL) a[r] = v_add(a[r], v_load(d + t * d_step + (o + r) * stride + l));
        float sums[8];
        v_sums8(a[0], a[1], a[2], a[3], a[0], a[1], a[2], a[3], sums);
        for (int64_t r = 0; r < rows; r++) db[o + r] = sums[r];
    }
}

/* sums[r] = sum over slots and lanes of rows[r]. */
static void row_sums(float *sums, const float *rows, int64_t step, int64_t n_slots, int64_t n_rows, int64_t stride) {
    for (int64_t r = 0; r < n_rows; r++) {
        vf a = v_zero();
        for (int64_t t = 0; t < n_slots; t++)
            for (int64_t l = 0; l < stride; l += VL) a = v_add(a, v_load(rows + t * step + r * stride + l));
        float all[8];
        v_sums8(a, a, a, a, a, a, a, a, all);
        sums[r] = all[0];
    }
}

/* ----------------------------------------------------------------------------------------------- moving data in/out */

static void read_rows(float *rows, int64_t stride, const float *at, int64_t batch_step, int64_t width, int64_t n_batch,
                      int64_t from, int64_t to) {
    int64_t end = least(to, n_batch);
    for (int64_t b = from; b < end; b++) {
        const float *x = at + b * batch_step;
        for (int64_t f = 0; f < width; f++) rows[f * stride + b] = x[f];
    }
    for (int64_t f = 0; f < width; f++)
        for (int64_t b = end > from ? end : from; b < to; b++) rows[f * stride + b] = 0.0f;
}

static void write_rows(const float *rows, int64_t stride, float *at, int64_t batch_step, int64_t width, int64_t n_batch,
                       int64_t from, int64_t to) {
    int64_t end = least(to, n_batch);
    for (int64_t b = from; b < end; b++) {
        float *x = at + b * batch_step;
        for (int64_t f = 0; f < width; f++) x[f] = rows[f * stride + b];
    }
}

static int is_reset(const forward_args *a, int64_t s, int64_t b, int64_t t) {
    int64_t at = s * a->reset_seed + b * a->reset_batch + t * a->reset_time;
    return a->resets_are_bytes ? ((const uint8_t *)a->resets)[at] != 0 : ((const float *)a->resets)[at] > 0.5f;
}

/* Zero the lanes of samples whose episode begins at step t. */
static void forget(const forward_args *a, float *rows, int64_t n_rows, int64_t stride, int64_t s, int64_t t,
                   int64_t from, int64_t to) {
    if (!a->resets) return;
    for (int64_t b = from; b < least(to, a->n_batch); b++)
        if (is_reset(a, s, b, t))
            for (int64_t r = 0; r < n_rows; r++) rows[r * stride + b] = 0.0f;
}

static void copy_rows(float *into, const float *rows, int64_t n_rows, int64_t stride, int64_t from, int64_t to) {
    for (int64_t r = 0; r < n_rows; r++) LOOP(l) v_store(into + r * stride + l, v_load(rows + r * stride + l));
}

static void add_rows(float *into, const float *rows, int64_t n_rows, int64_t stride, int64_t from, int64_t to) {
    for (int64_t r = 0; r < n_rows; r++)
        LOOP(l) v_store(into + r * stride + l, v_add(v_load(into + r * stride + l), v_load(rows + r * stride + l)));
}

static void zero_rows(float *rows, int64_t n_rows, int64_t stride, int64_t from, int64_t to) {
    for (int64_t r = 0; r < n_rows; r++) LOOP(l) v_store(rows + r * stride + l, v_zero());
}

/* ------------------------------------------------------------------------------------------------------- workspace */

/* Rows of what a layer reads: its input, then its own state. A TANH or RELU layer has no state, and reads the state of
   the layer before where that lies. */
static int64_t read_rows_of(const plan *p, int64_t i) {
    const layer *y = &p->layers[i];
    if (y->kind == TANH || y->kind == RELU) return i > 0 ? 0 : y->n_in;
    return y->n_in + y->n;
}

/* Rows of what a layer keeps for its gradient. The first rows become the gradients of its heads. */
static int64_t kept_rows_of(const layer *y) {
    switch (y->kind) {
    case CFC: case CFC_NO_GATE: case GRU: return 4 * y->n;
    case CFC_PURE: return 3 * y->n;
    case LSTM: return 6 * y->n; /* candidate, accept, keep, reveal; memory before; tanh of memory after */
    case LTC: return 2 * y->unfolds * y->n; /* potential before each sub-step, and its denominator */
    default: return y->n;
    }
}

static int64_t head_rows_of(const layer *y) {
    switch (y->kind) {
    case CFC: case CFC_NO_GATE: case GRU: case LSTM: return 4 * y->n;
    default: return y->n;
    }
}

/* Sums that an LTC layer collects over lanes for one task: per synapse, per input, per neuron; and its constants. */
static int64_t ltc_sums_of(const layer *y) { return 4 * (y->n + y->n_in) * y->n + 2 * y->n_in + 4 * y->n; }
static int64_t ltc_constants_of(const layer *y) { return 4 * (y->n + y->n_in) * y->n + 4 * y->n; }

typedef struct {
    int64_t stride, slots, tasks;
    int64_t read[MAX_LAYERS], read_step[MAX_LAYERS], kept[MAX_LAYERS], kept_step[MAX_LAYERS];
    int64_t state, state_step, out, out_step, back[2], inner, d_out_rows, ltc_sums, ltc_constants, ltc_rows, size;
} shape;

static shape shape_of(const plan *p, int64_t n_batch, int64_t n_time, int64_t keeps) {
    shape s;
    s.stride = padded(n_batch);
    s.slots = keeps ? n_time : least(n_time, 2);
    s.tasks = (s.stride + LANES - 1) / LANES;
    int64_t at = 0, widest = 0, is_ltc = 0;
    const layer *ltc = NULL;
    s.state = at, s.state_step = p->state_size * s.stride, at += s.slots * s.state_step;
    for (int64_t i = 0; i < p->n_layers; i++) {
        const layer *y = &p->layers[i];
        int64_t rows = read_rows_of(p, i);
        s.read[i] = at, s.read_step[i] = rows * s.stride, at += s.slots * s.read_step[i];
        if (rows == 0) s.read[i] = s.state + p->layers[i - 1].state_at * s.stride, s.read_step[i] = s.state_step;
        s.kept[i] = at, s.kept_step[i] = kept_rows_of(y) * s.stride, at += s.slots * s.kept_step[i];
        if (y->n_in + y->n > widest) widest = y->n_in + y->n;
        if (y->kind == LTC) is_ltc = 1, ltc = y;
    }
    s.out = at, s.out_step = p->n_out * s.stride, at += s.slots * s.out_step;
    s.back[0] = s.back[1] = s.inner = s.ltc_sums = at;
    if (keeps) {
        s.back[0] = at, at += p->state_size * s.stride;
        s.back[1] = at, at += p->state_size * s.stride;
        s.inner = at, at += widest * s.stride;
        s.ltc_sums = at;
        if (is_ltc) at += s.tasks * ltc_sums_of(ltc) * VL;
    }
    s.ltc_constants = s.ltc_rows = at;
    if (is_ltc) {
        at += s.tasks * ltc_constants_of(ltc);
        at = padded(at), s.ltc_rows = at, at += 6 * ltc->n * s.stride;
    }
    s.size = padded(at);
    return s;
}

static int64_t workspace(const plan *p, int64_t n_batch, int64_t n_time, int64_t keeps) {
    return shape_of(p, n_batch, n_time, keeps).size;
}

/* --------------------------------------------------------------------------------------------- one layer, one step */

/* What one layer works on at one step: rows of its lanes. */
typedef struct {
    const layer *y;
    const float *parameters, *mask;
    const float *read; /* input rows, then state rows */
    float *kept, *state; /* what it keeps; where its new state goes */
    const float *elapsed; /* dt of every lane */
    int64_t stride, from, to;
    float *ltc_constants, *ltc_rows, *ltc_sums;
} step;

static void cfc_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, 4 * n, y->n_in + n, a->parameters + y->at[1], 0,
            stride, from, to);
    for (int64_t u = 0; u < n; u++) {
        float *f1 = a->kept + u * stride, *f2 = f1 + n * stride, *ta = f2 + n * stride, *tb = ta + n * stride;
        LOOP(l) {
            vf x1 = v_tanh(v_load(f1 + l)), x2 = v_tanh(v_load(f2 + l));
            vf g = v_sigmoid(v_fma(v_load(ta + l), v_load(a->elapsed + l), v_load(tb + l)));
            v_store(f1 + l, x1), v_store(f2 + l, x2), v_store(tb + l, g);
            vf h = y->kind == CFC ? v_fma(g, v_sub(x2, x1), x1) : v_fma(g, x2, x1);
            v_store(a->state + u * stride + l, h);
        }
    }
}

/* ``d`` holds the gradient of the new state; the kept rows become the gradients of the heads. */
static void cfc_backward(const step *a, const float *d) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    vf one = v_set(1.0f);
    for (int64_t u = 0; u < n; u++) {
        float *f1 = a->kept + u * stride, *f2 = f1 + n * stride, *ta = f2 + n * stride, *tb = ta + n * stride;
        LOOP(l) {
            vf x1 = v_load(f1 + l), x2 = v_load(f2 + l), g = v_load(tb + l), dh = v_load(d + u * stride + l);
            vf d2 = v_mul(dh, g), d1 = y->kind == CFC ? v_sub(dh, d2) : dh;
            vf dg = v_mul(dh, y->kind == CFC ? v_sub(x2, x1) : x2);
            dg = v_mul(dg, v_mul(g, v_sub(one, g)));
            v_store(f1 + l, v_mul(d1, v_sub(one, v_mul(x1, x1))));
            v_store(f2 + l, v_mul(d2, v_sub(one, v_mul(x2, x2))));
            v_store(ta + l, v_mul(dg, v_load(a->elapsed + l)));
            v_store(tb + l, dg);
        }
    }
}

/* h = A - A * e * ff with e = exp(-dt * (|w_tau| + |ff|)). */
static void pure_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, n, y->n_in + n, a->parameters + y->at[1], 0,
            stride, from, to);
    for (int64_t u = 0; u < n; u++) {
        float *ff = a->kept + u * stride, *e = ff + n * stride;
        vf leak = v_set(fabsf(a->parameters[y->at[2] + u])), top = v_set(a->parameters[y->at[3] + u]);
        LOOP(l) {
            vf f = v_load(ff + l);
            vf decay = v_exp(v_neg(v_mul(v_load(a->elapsed + l), v_add(leak, v_abs(f)))));
            v_store(e + l, decay);
            v_store(a->state + u * stride + l, v_sub(top, v_mul(top, v_mul(decay, f))));
        }
    }
}

static void pure_backward(const step *a, const float *d) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    for (int64_t u = 0; u < n; u++) {
        float *ff = a->kept + u * stride, *e = ff + n * stride, *da = e + n * stride;
        float w = a->parameters[y->at[2] + u];
        vf top = v_set(a->parameters[y->at[3] + u]);
        vf sign = v_set(w > 0 ? 1.0f : w < 0 ? -1.0f : 0.0f);
        LOOP(l) {
            vf f = v_load(ff + l), decay = v_load(e + l), dh = v_load(d + u * stride + l);
            vf decayed = v_mul(decay, f), dx = v_neg(v_mul(dh, top)); /* gradient of ``decayed`` */
            /* d decay / d leak = -dt * decay, and |f| adds to the leak */
            vf dleak = v_neg(v_mul(v_mul(dx, decayed), v_load(a->elapsed + l)));
            vf direction = v_where_positive(f, v_set(1.0f), v_where_positive(v_neg(f), v_set(-1.0f), v_zero()));
            v_store(ff + l, v_fma(dleak, direction, v_mul(dx, decay)));
            v_store(e + l, v_mul(dleak, sign));
            v_store(da + l, v_mul(dh, v_sub(v_set(1.0f), decayed)));
        }
    }
}

static void gru_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, 4 * n, y->n_in + n, a->parameters + y->at[1], 0,
            stride, from, to);
    const float *before = a->read + y->n_in * stride;
    for (int64_t u = 0; u < n; u++) {
        float *r = a->kept + u * stride, *z = r + n * stride, *x = z + n * stride, *s = x + n * stride;
        LOOP(l) {
            vf reset = v_sigmoid(v_load(r + l)), keep = v_sigmoid(v_load(z + l));
            vf new = v_tanh(v_fma(reset, v_load(s + l), v_load(x + l)));
            v_store(r + l, reset), v_store(z + l, keep), v_store(x + l, new);
            v_store(a->state + u * stride + l, v_fma(keep, v_sub(v_load(before + u * stride + l), new), new));
        }
    }
}

/* ``direct`` receives the gradient that passes to the old state without going through the heads. */
static void gru_backward(const step *a, const float *d, float *direct) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    const float *before = a->read + y->n_in * stride;
    vf one = v_set(1.0f);
    for (int64_t u = 0; u < n; u++) {
        float *r = a->kept + u * stride, *z = r + n * stride, *x = z + n * stride, *s = x + n * stride;
        LOOP(l) {
            vf reset = v_load(r + l), keep = v_load(z + l), new = v_load(x + l), dh = v_load(d + u * stride + l);
            vf dx = v_mul(v_mul(dh, v_sub(one, keep)), v_sub(one, v_mul(new, new)));
            vf dz = v_mul(dh, v_sub(v_load(before + u * stride + l), new));
            v_store(direct + u * stride + l, v_mul(dh, keep));
            v_store(z + l, v_mul(dz, v_mul(keep, v_sub(one, keep))));
            v_store(r + l, v_mul(v_mul(dx, v_load(s + l)), v_mul(reset, v_sub(one, reset))));
            v_store(x + l, dx);
            v_store(s + l, v_mul(dx, reset));
        }
    }
}

static void dense_forward(const step *a) {
    const layer *y = a->y;
    int64_t stride = a->stride, from = a->from, to = a->to;
    product(a->state, a->parameters + y->at[0], y->n_in, 1, a->read, y->n, y->n_in, a->parameters + y->at[1], 0, stride,
            from, to);
    for (int64_t u = 0; u < y->n; u++) {
        float *h = a->state + u * stride;
        LOOP(l) {
            vf x = v_load(h + l);
            /* max(x, 0), and NaN stays NaN */
            v_store(h + l, y->kind == TANH ? v_tanh(x) : v_where_positive(v_neg(x), v_zero(), x));
        }
    }
}

static void dense_backward(const step *a, const float *d) {
    const layer *y = a->y;
    int64_t stride = a->stride, from = a->from, to = a->to;
    for (int64_t u = 0; u < y->n; u++) {
        LOOP(l) {
            vf h = v_load(a->state + u * stride + l), dh = v_load(d + u * stride + l);
            vf dx = y->kind == TANH ? v_mul(dh, v_sub(v_set(1.0f), v_mul(h, h))) : v_where_positive(h, dh, v_zero());
            v_store(a->kept + u * stride + l, dx);
        }
    }
}

/* The state of an LSTM: what it reveals (which the layers after it take as their old state), then its memory. */
static void lstm_forward(const step *a, const float *memory_before, float *memory, float *revealed) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, 4 * n, y->n_in + n, a->parameters + y->at[1], 0,
            stride, from, to);
    for (int64_t u = 0; u < n; u++) {
        float *c = a->kept + u * stride, *i = c + n * stride, *f = i + n * stride, *o = f + n * stride;
        float *old = o + n * stride, *squashed = old + n * stride;
        LOOP(l) {
            vf candidate = v_tanh(v_load(c + l)), accept = v_sigmoid(v_load(i + l));
            vf keep = v_sigmoid(v_load(f + l)), reveal = v_sigmoid(v_load(o + l));
            vf before = v_load(memory_before + u * stride + l);
            vf after = v_fma(candidate, accept, v_mul(before, keep)), t = v_tanh(after);
            v_store(c + l, candidate), v_store(i + l, accept), v_store(f + l, keep), v_store(o + l, reveal);
            v_store(old + l, before), v_store(squashed + l, t);
            v_store(memory + u * stride + l, after);
            v_store(revealed + u * stride + l, v_mul(t, reveal));
        }
    }
}

/* ``d_memory`` holds the gradient of the memory after the step, and receives that of the memory before. */
static void lstm_backward(const step *a, const float *d_revealed, float *d_memory, float *d_memory_before) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to;
    vf one = v_set(1.0f);
    for (int64_t u = 0; u < n; u++) {
        float *c = a->kept + u * stride, *i = c + n * stride, *f = i + n * stride, *o = f + n * stride;
        float *old = o + n * stride, *squashed = old + n * stride;
        LOOP(l) {
            vf candidate = v_load(c + l), accept = v_load(i + l), keep = v_load(f + l), reveal = v_load(o + l);
            vf t = v_load(squashed + l), d = v_load(d_revealed + u * stride + l);
            vf dm = v_fma(v_mul(d, reveal), v_sub(one, v_mul(t, t)), v_load(d_memory + u * stride + l));
            v_store(c + l, v_mul(v_mul(dm, accept), v_sub(one, v_mul(candidate, candidate))));
            v_store(i + l, v_mul(v_mul(dm, candidate), v_mul(accept, v_sub(one, accept))));
            v_store(f + l, v_mul(v_mul(dm, v_load(old + l)), v_mul(keep, v_sub(one, keep))));
            v_store(o + l, v_mul(v_mul(d, t), v_mul(reveal, v_sub(one, reveal))));
            v_store(d_memory_before + u * stride + l, v_mul(dm, keep));
        }
    }
}

/* ------------------------------------------------------------------------------------------------------------- LTC */

enum { GLEAK, VLEAK, CM, SIGMA, MU, W, EREV, S_SIGMA, S_MU, S_W, S_EREV, INPUT_W, INPUT_B };
#define LEAST_CAPACITY 1e-8f

static float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); } /* as torch does */
static float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

/* Constants: for every synapse slope, offset, strength and reversal, sources row by row, neurons before inputs; then of
   every neuron leak, leak * vleak, capacity. A strength of 0 marks a synapse that isn't there. */
static void ltc_prepare(const layer *y, const float *p, const float *mask, float *constants) {
    int64_t n = y->n, at = 0;
    for (int64_t j = 0; j < n + y->n_in; j++) {
        int64_t k = j - n; /* the input, if it is one */
        for (int64_t i = 0; i < n; i++, at += 4) {
            int64_t e = j < n ? j * n + i : k * n + i;
            const int64_t *m = y->at + (j < n ? SIGMA : S_SIGMA);
            float exists = mask ? mask[m[W - SIGMA] + e] : 1.0f;
            float sigma = p[m[0] + e], mu = p[m[1] + e];
            constants[at] = j < n ? sigma : sigma * p[y->at[INPUT_W] + k];
            constants[at + 1] = j < n ? -sigma * mu : sigma * (p[y->at[INPUT_B] + k] - mu);
            constants[at + 2] = exists != 0.0f ? softplus(p[m[2] + e]) : 0.0f;
            constants[at + 3] = p[m[3] + e];
        }
    }
    for (int64_t i = 0; i < n; i++, at += 4) {
        constants[at] = softplus(p[y->at[GLEAK] + i]);
        constants[at + 1] = constants[at] * p[y->at[VLEAK] + i];
        constants[at + 2] = softplus(p[y->at[CM] + i]) + LEAST_CAPACITY;
    }
}

/* Add to every target what its synapses from ``n_from`` sources pull and conduct. */
static void ltc_currents(const float *synapse, const float *v, int64_t n_from, int64_t n, float *pull, float *conduct,
                         int64_t stride, int64_t from, int64_t to) {
    for (int64_t j = 0; j < n_from; j++)
        for (int64_t i = 0; i < n; i++, synapse += 4) {
            if (synapse[2] == 0.0f) continue;
            vf slope = v_set(synapse[0]), offset = v_set(synapse[1]), w = v_set(synapse[2]), e = v_set(synapse[3]);
            float *p = pull + i * stride, *c = conduct + i * stride;
            LOOP(l) {
                vf a = v_mul(w, v_sigmoid(v_fma(slope, v_load(v + j * stride + l), offset)));
                v_store(p + l, v_fma(a, e, v_load(p + l)));
                v_store(c + l, v_add(a, v_load(c + l)));
            }
        }
}

static void ltc_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to, rows = n * stride;
    const float *synapses = a->ltc_constants, *senses = synapses + 4 * n * n, *neurons = senses + 4 * n * y->n_in;
    float *fixed_pull = a->ltc_rows, *fixed_conduct = fixed_pull + rows, *pull = fixed_conduct + rows;
    float *conduct = pull + rows, *v = a->kept, *den = v + y->unfolds * rows;
    vf part = v_set(1.0f / (float)y->unfolds);
    zero_rows(fixed_pull, 2 * n, stride, from, to);
    ltc_currents(senses, a->read, y->n_in, n, fixed_pull, fixed_conduct, stride, from, to);
    for (int64_t i = 0; i < n; i++) {
        vf leak = v_set(neurons[4 * i]), pulled = v_set(neurons[4 * i + 1]);
        float *p = fixed_pull + i * stride, *c = fixed_conduct + i * stride;
        LOOP(l) {
            vf elapsed = v_mul(v_load(a->elapsed + l), part);
            v_store(p + l, v_mul(elapsed, v_add(pulled, v_load(p + l))));
            v_store(c + l, v_mul(elapsed, v_add(leak, v_load(c + l))));
        }
    }
    copy_rows(v, a->read + y->n_in * stride, n, stride, from, to);
    for (int64_t k = 0; k < y->unfolds; k++, v += rows, den += rows) {
        zero_rows(pull, 2 * n, stride, from, to);
        ltc_currents(synapses, v, n, n, pull, conduct, stride, from, to);
        float *next = k + 1 < y->unfolds ? v + rows : a->state;
        for (int64_t i = 0; i < n; i++) {
            vf capacity = v_set(neurons[4 * i + 2]);
            LOOP(l) {
                int64_t at = i * stride + l;
                vf elapsed = v_mul(v_load(a->elapsed + l), part);
                vf above = v_fma(elapsed, v_load(pull + at), v_fma(capacity, v_load(v + at), v_load(fixed_pull + at)));
                vf below = v_add(capacity, v_fma(elapsed, v_load(conduct + at), v_load(fixed_conduct + at)));
                v_store(den + at, below);
                v_store(next + at, v_div(above, below));
            }
        }
    }
}

/* Collect, for every synapse, the sums over lanes of d(pre), d(pre) * v, d(strength) and d(pull) * opening; add to
   ``d_from`` the gradients of the sources. ``d_pull`` and ``d_conduct`` are the gradients of the targets' currents. */
static void ltc_currents_backward(const float *synapse, const float *v, int64_t n_from, int64_t n, const float *d_pull,
                                  const float *d_conduct, float *d_from, float *sums, int64_t stride, int64_t from,
                                  int64_t to) {
    vf one = v_set(1.0f);
    for (int64_t j = 0; j < n_from; j++)
        for (int64_t i = 0; i < n; i++, synapse += 4, sums += 4 * VL) {
            if (synapse[2] == 0.0f) continue;
            vf slope = v_set(synapse[0]), offset = v_set(synapse[1]), w = v_set(synapse[2]), e = v_set(synapse[3]);
            vf s0 = v_load(sums), s1 = v_load(sums + VL), s2 = v_load(sums + 2 * VL), s3 = v_load(sums + 3 * VL);
            LOOP(l) {
                vf x = v_load(v + j * stride + l), opening = v_sigmoid(v_fma(slope, x, offset));
                vf dp = v_load(d_pull + i * stride + l), dc = v_load(d_conduct + i * stride + l);
                vf da = v_fma(dp, e, dc);
                vf pre = v_mul(v_mul(da, w), v_mul(opening, v_sub(one, opening)));
                s0 = v_add(s0, pre), s1 = v_fma(pre, x, s1), s2 = v_fma(da, opening, s2), s3 = v_fma(dp, opening, s3);
                float *d = d_from + j * stride + l;
                v_store(d, v_fma(pre, slope, v_load(d)));
            }
            v_store(sums, s0), v_store(sums + VL, s1), v_store(sums + 2 * VL, s2), v_store(sums + 3 * VL, s3);
        }
}

/* ``d`` holds the gradient of the new state; ``d_read`` receives those of the inputs and the old state. */
static void ltc_backward(const step *a, const float *d, float *d_read) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, from = a->from, to = a->to, rows = n * stride;
    const float *synapses = a->ltc_constants, *senses = synapses + 4 * n * n, *neurons = senses + 4 * n * y->n_in;
    float *d_above = a->ltc_rows, *d_below = d_above + rows, *d_pull = d_below + rows, *d_conduct = d_pull + rows;
    float *sum_above = d_conduct + rows, *sum_below = sum_above + rows, *d_v = d_read + y->n_in * stride;
    float *sums = a->ltc_sums, *sense_sums = sums + 4 * n * n * VL;
    float *neuron_sums = sense_sums + (4 * n * y->n_in + 2 * y->n_in) * VL;
    vf part = v_set(1.0f / (float)y->unfolds);
    copy_rows(d_v, d, n, stride, from, to);
    zero_rows(sum_above, 2 * n, stride, from, to);
    for (int64_t k = y->unfolds - 1; k >= 0; k--) {
        const float *v = a->kept + k * rows, *den = a->kept + (y->unfolds + k) * rows;
        const float *after = k + 1 < y->unfolds ? v + rows : a->state;
        for (int64_t i = 0; i < n; i++) {
            vf capacity = v_set(neurons[4 * i + 2]), to_capacity = v_load(neuron_sums + (4 * i + 2) * VL);
            LOOP(l) {
                int64_t at = i * stride + l;
                vf elapsed = v_mul(v_load(a->elapsed + l), part);
                vf above = v_div(v_load(d_v + at), v_load(den + at)), below = v_neg(v_mul(above, v_load(after + at)));
                v_store(d_pull + at, v_mul(elapsed, above)), v_store(d_conduct + at, v_mul(elapsed, below));
                v_store(sum_above + at, v_add(v_load(sum_above + at), above));
                v_store(sum_below + at, v_add(v_load(sum_below + at), below));
                to_capacity = v_add(to_capacity, v_fma(above, v_load(v + at), below));
                v_store(d_v + at, v_mul(capacity, above));
            }
            v_store(neuron_sums + (4 * i + 2) * VL, to_capacity);
        }
        ltc_currents_backward(synapses, v, n, n, d_pull, d_conduct, d_v, sums, stride, from, to);
    }
    for (int64_t i = 0; i < n; i++) {
        vf to_leak = v_load(neuron_sums + 4 * i * VL), to_pulled = v_load(neuron_sums + (4 * i + 1) * VL);
        LOOP(l) {
            int64_t at = i * stride + l;
            vf elapsed = v_mul(v_load(a->elapsed + l), part);
            vf dp = v_mul(elapsed, v_load(sum_above + at)), dc = v_mul(elapsed, v_load(sum_below + at));
            v_store(d_pull + at, dp), v_store(d_conduct + at, dc);
            to_pulled = v_add(to_pulled, dp), to_leak = v_add(to_leak, dc);
        }
        v_store(neuron_sums + 4 * i * VL, to_leak), v_store(neuron_sums + (4 * i + 1) * VL, to_pulled);
    }
    zero_rows(d_read, y->n_in, stride, from, to);
    ltc_currents_backward(senses, a->read, y->n_in, n, d_pull, d_conduct, d_read, sense_sums, stride, from, to);
}

/* Turn the sums of all tasks into gradients of the parameters. */
static void ltc_gradient(const layer *y, const float *p, const float *mask, const float *sums, int64_t n_tasks,
                         float *gradient) {
    int64_t n = y->n, size = ltc_sums_of(y) * VL;
    for (int64_t k = 0; k < y->n_in; k++) gradient[y->at[INPUT_W] + k] = gradient[y->at[INPUT_B] + k] = 0.0f;
#define TOTAL(at, into)                                                      \
    for (int64_t q = 0; q < 4; q++) {                                        \
        into[q] = 0.0f;                                                      \
        for (int64_t t = 0; t < n_tasks; t++)                                \
            for (int64_t x = 0; x < VL; x++) into[q] += sums[t * size + ((at) + q) * VL + x]; \
    }
    for (int64_t j = 0; j < n + y->n_in; j++) {
        int64_t k = j - n;
        for (int64_t i = 0; i < n; i++) {
            int64_t e = j < n ? j * n + i : k * n + i;
            const int64_t *m = y->at + (j < n ? SIGMA : S_SIGMA);
            float s[4] = {0, 0, 0, 0}, sigma = p[m[0] + e], mu = p[m[1] + e], w = p[m[2] + e];
            if (!mask || mask[m[W - SIGMA] + e] != 0.0f) TOTAL(4 * (j * n + i), s);
            float input_w = j < n ? 1.0f : p[y->at[INPUT_W] + k], input_b = j < n ? 0.0f : p[y->at[INPUT_B] + k];
            gradient[m[0] + e] = s[1] * input_w + s[0] * (input_b - mu);
            gradient[m[1] + e] = -sigma * s[0];
            gradient[m[2] + e] = s[2] * logistic(w);
            gradient[m[3] + e] = softplus(w) * s[3];
            if (j >= n) {
                gradient[y->at[INPUT_W] + k] += s[1] * sigma;
                gradient[y->at[INPUT_B] + k] += s[0] * sigma;
            }
        }
    }
    int64_t at = 4 * n * n + 4 * n * y->n_in + 2 * y->n_in;
    for (int64_t i = 0; i < n; i++) {
        float s[4], leak = p[y->at[GLEAK] + i], v = p[y->at[VLEAK] + i];
        TOTAL(at + 4 * i, s);
        gradient[y->at[GLEAK] + i] = (s[0] + s[1] * v) * logistic(leak);
        gradient[y->at[VLEAK] + i] = softplus(leak) * s[1];
        gradient[y->at[CM] + i] = s[2] * logistic(p[y->at[CM] + i]);
    }
#undef TOTAL
}

/* ---------------------------------------------------------------------------------------------------- whole networks */

static void read_elapsed(const forward_args *a, float *elapsed, int64_t s, int64_t t, int64_t from, int64_t to) {
    for (int64_t b = from; b < to; b++)
        elapsed[b - from] = !a->dt.at || b >= a->n_batch ? 1.0f : a->dt.at[s * a->dt.seed + b * a->dt.batch + t * a->dt.time];
}

static step layer_step(const forward_args *a, const shape *z, int64_t i, int64_t s, int64_t slot, int64_t task,
                       const float *elapsed) {
    const plan *p = a->p;
    float *work = a->work + s * z->size;
    step x;
    x.y = &p->layers[i];
    x.parameters = a->parameters + s * p->n_parameters;
    x.mask = a->mask ? a->mask + s * p->n_parameters : NULL;
    x.read = work + z->read[i] + slot * z->read_step[i];
    x.kept = work + z->kept[i] + slot * z->kept_step[i];
    x.state = work + z->state + slot * z->state_step + x.y->state_at * z->stride;
    x.stride = z->stride;
    x.from = task * LANES;
    x.to = least(x.from + LANES, z->stride);
    x.elapsed = elapsed - x.from;
    x.ltc_constants = work + z->ltc_constants + (x.y->kind == LTC ? task * ltc_constants_of(x.y) : 0);
    x.ltc_rows = work + z->ltc_rows;
    x.ltc_sums = work + z->ltc_sums + (x.y->kind == LTC ? task * ltc_sums_of(x.y) * VL : 0);
    return x;
}

static int has_state(const layer *y) { return y->kind != TANH && y->kind != RELU; }

static void forward(const forward_args *a, int64_t s, int64_t task) {
    const plan *p = a->p;
    shape z = shape_of(p, a->n_batch, a->n_time, a->keeps);
    float *work = a->work + s * z.size, elapsed[LANES] = {0};
    int64_t stride = z.stride, from = task * LANES, to = least(from + LANES, stride), n_time = a->n_time;
    int64_t first = p->has_memory ? 1 : 0, H = p->state_size;
    if (p->layers[first].kind == LTC) {
        step x = layer_step(a, &z, first, s, 0, task, elapsed);
        ltc_prepare(x.y, x.parameters, x.mask, x.ltc_constants);
    }
    for (int64_t t = 0; t < n_time; t++) {
        int64_t slot = t % z.slots, last = (t + z.slots - 1) % z.slots;
        const float *before = work + z.state + last * z.state_step; /* the state after the step before */
        float *now = work + z.state + slot * z.state_step;
        read_elapsed(a, elapsed, s, t, from, to);
        for (int64_t i = 0; i < p->n_layers; i++) {
            step x = layer_step(a, &z, i, s, slot, task, elapsed);
            float *read = work + z.read[i] + slot * z.read_step[i];
            if (i <= first) { /* reads the observation */
                float *rows = read;
                for (int64_t k = 0; k < a->n_sources; k++) {
                    const input *in = &a->source[k];
                    read_rows(rows, stride, in->at + s * in->seed + t * in->time, in->batch, in->width, a->n_batch, from, to);
                    rows += in->width * stride;
                }
            } else if (read_rows_of(p, i) > 0) {
                const layer *below = &p->layers[i - 1];
                copy_rows(read, now + below->state_at * stride, below->n, stride, from, to);
            }
            /* With a memory the LSTM reads the old state, and has written it anew for the layers after it. */
            if (has_state(x.y) && (i == 0 || !p->has_memory)) {
                float *own = read + x.y->n_in * stride;
                if (t > 0) copy_rows(own, before + x.y->state_at * stride, x.y->n, stride, from, to);
                else if (!a->hidden.at) zero_rows(own, x.y->n, stride, from, to);
                else read_rows(own, stride, a->hidden.at + s * a->hidden.seed + x.y->state_at, a->hidden.batch, x.y->n, a->n_batch, from, to);
                forget(a, own, x.y->n, stride, s, t, from, to);
            }
            switch (x.y->kind) {
            case CFC: case CFC_NO_GATE: cfc_forward(&x); break;
            case CFC_PURE: pure_forward(&x); break;
            case GRU: gru_forward(&x); break;
            case LTC: ltc_forward(&x); break;
            case LSTM: {
                int64_t n = x.y->n;
                float *old = x.kept + 4 * n * stride, *memory = now + n * stride;
                if (t > 0) copy_rows(old, before + n * stride, n, stride, from, to);
                else if (!a->hidden.at) zero_rows(old, n, stride, from, to);
                else read_rows(old, stride, a->hidden.at + s * a->hidden.seed + n, a->hidden.batch, n, a->n_batch, from, to);
                forget(a, old, n, stride, s, t, from, to);
                lstm_forward(&x, old, memory, now);
                for (int64_t k = 1; k < p->n_layers; k++) {
                    const layer *above = &p->layers[k];
                    float *own = work + z.read[k] + slot * z.read_step[k] + above->n_in * stride;
                    copy_rows(own, now + above->state_at * stride, above->n, stride, from, to);
                }
                break;
            }
            default: dense_forward(&x);
            }
        }
        float *out = work + z.out + slot * z.out_step;
        const float *read = now + p->read_at * stride, *parameters = a->parameters + s * p->n_parameters;
        if (p->readout == READ_LINEAR)
            product(out, parameters + p->read_weight, p->n_read, 1, read, p->n_out, p->n_read, parameters + p->read_bias, 0,
                    stride, from, to);
        else
            for (int64_t k = 0; k < p->n_out; k++) {
                vf w = v_set(1.0f), b = v_zero();
                if (p->readout == READ_AFFINE) w = v_set(parameters[p->read_weight + k]), b = v_set(parameters[p->read_bias + k]);
                LOOP(l) v_store(out + k * stride + l, v_fma(w, v_load(read + k * stride + l), b));
            }
        if (p->squash)
            for (int64_t k = 0; k < p->n_out; k++)
                LOOP(l) v_store(out + k * stride + l, v_tanh(v_load(out + k * stride + l)));
        if (a->out)
            write_rows(out, stride, a->out + (s * a->n_batch * n_time + t) * p->n_out, n_time * p->n_out, p->n_out,
                       a->n_batch, from, to);
        if (a->states)
            write_rows(now, stride, a->states + (s * a->n_batch * n_time + t) * H, n_time * H, H, a->n_batch, from, to);
        if (a->last && t == n_time - 1)
            write_rows(now, stride, a->last + s * a->n_batch * H, H, H, a->n_batch, from, to);
    }
}

/* Phase 0: the gradients of all heads, step by step backwards, for the lanes of one task. */
static void backward_in_time(const backward_args *b, int64_t s, int64_t task) {
    const forward_args *a = &b->f;
    const plan *p = a->p;
    shape z = shape_of(p, a->n_batch, a->n_time, 1);
    float *work = a->work + s * z.size, elapsed[LANES] = {0};
    int64_t stride = z.stride, from = task * LANES, to = least(from + LANES, stride), n_time = a->n_time;
    int64_t first = p->has_memory ? 1 : 0, H = p->state_size, K = p->n_out;
    float *d_now = work + z.back[0], *d_before = work + z.back[1], *inner = work + z.inner;
    const float *parameters = a->parameters + s * p->n_parameters;
    if (p->layers[first].kind == LTC) { /* the constants are those of the forward call */
        float *sums = layer_step(a, &z, first, s, 0, task, elapsed).ltc_sums;
        memset(sums, 0, sizeof(float) * VL * ltc_sums_of(&p->layers[first]));
    }
    if (b->d_last) read_rows(d_now, stride, b->d_last + s * a->n_batch * H, H, H, a->n_batch, from, to);
    else zero_rows(d_now, H, stride, from, to);
    for (int64_t t = n_time - 1; t >= 0; t--) {
        read_elapsed(a, elapsed, s, t, from, to);
        if (b->d_states) {
            read_rows(d_before, stride, b->d_states + (s * a->n_batch * n_time + t) * H, n_time * H, H, a->n_batch, from, to);
            add_rows(d_now, d_before, H, stride, from, to);
        }
        float *out = work + z.out + t * z.out_step, *d_read = d_now + p->read_at * stride;
        if (b->d_out) {
            read_rows(inner, stride, b->d_out + (s * a->n_batch * n_time + t) * K, n_time * K, K, a->n_batch, from, to);
            for (int64_t k = 0; k < K; k++)
                LOOP(l) {
                    vf d = v_load(inner + k * stride + l), y = v_load(out + k * stride + l);
                    if (p->squash) d = v_mul(d, v_sub(v_set(1.0f), v_mul(y, y)));
                    v_store(out + k * stride + l, d);
                }
        } else
            zero_rows(out, K, stride, from, to);
        if (p->readout == READ_LINEAR)
            product(d_read, parameters + p->read_weight, 1, p->n_read, out, p->n_read, K, NULL, 1, stride, from, to);
        else
            for (int64_t k = 0; k < K; k++) {
                vf w = v_set(p->readout == READ_AFFINE ? parameters[p->read_weight + k] : 1.0f);
                LOOP(l) {
                    float *d = d_read + k * stride + l;
                    v_store(d, v_fma(w, v_load(out + k * stride + l), v_load(d)));
                }
            }
        int wants_inputs = b->d_source[0] || b->d_source[1];
        int wants_state = t > 0 || b->d_hidden;
        if (p->has_memory) zero_rows(d_before, H, stride, from, to);
        for (int64_t i = p->n_layers - 1; i >= 0; i--) {
            step x = layer_step(a, &z, i, s, t, task, elapsed);
            const layer *y = x.y;
            int64_t n = y->n, n_in = y->n_in;
            const float *d = d_now + y->state_at * stride;
            /* Where the gradient of the old state goes: with a memory it is that of what the LSTM revealed. */
            float *d_old = d_before + y->state_at * stride;
            int adds = 0;
            if (!has_state(y)) zero_rows(d_old, n, stride, from, to);
            switch (y->kind) {
            case CFC: case CFC_NO_GATE: cfc_backward(&x, d); break;
            case CFC_PURE: pure_backward(&x, d); break;
            case GRU: gru_backward(&x, d, d_old), adds = 1; break;
            case LTC: ltc_backward(&x, d, inner); break;
            case LSTM:
                /* d_before holds the gradient of what is revealed; it and the memory's move on to d_now and back. */
                lstm_backward(&x, d_before, d_now + n * stride, d_before + n * stride);
                break;
            default: dense_backward(&x, d);
            }
            if (y->kind == LTC) {
                copy_rows(d_old, inner + n_in * stride, n, stride, from, to);
            } else {
                const float *w = x.parameters + y->at[0];
                int64_t width = has_state(y) ? n_in + n : n_in, heads = head_rows_of(y);
                if (i > first || wants_inputs)
                    product(inner, w, 1, width, x.kept, n_in, heads, NULL, 0, stride, from, to);
                if (has_state(y) && (wants_state || p->has_memory))
                    product(d_old, w + n_in, 1, width, x.kept, n, heads, NULL, adds, stride, from, to);
            }
            if (i > first) { /* the input is the new state of the layer below */
                add_rows(d_now + p->layers[i - 1].state_at * stride, inner, n_in, stride, from, to);
            } else if (wants_inputs) {
                const float *rows = inner;
                for (int64_t k = 0; k < a->n_sources; k++) {
                    int64_t width = a->source[k].width;
                    float *at = b->d_source[k];
                    if (at) {
                        at += (s * a->n_batch * n_time + t) * width;
                        if (i == first) write_rows(rows, stride, at, n_time * width, width, a->n_batch, from, to);
                        else
                            for (int64_t e = from; e < least(to, a->n_batch); e++)
                                for (int64_t f = 0; f < width; f++) at[e * n_time * width + f] += rows[f * stride + e];
                    }
                    rows += width * stride;
                }
            }
        }
        forget(a, d_before, H, stride, s, t, from, to);
        float *other = d_now;
        d_now = d_before, d_before = other;
        if (t == 0 && b->d_hidden)
            write_rows(d_now, stride, b->d_hidden + s * a->n_batch * H, H, H, a->n_batch, from, to);
    }
}

/* Phase 1: the gradients of the parameters; a part computes whole rows, so the sums don't depend on the threads. */
static void backward_of_parameters(const backward_args *b, int64_t s, int64_t part) {
    const forward_args *a = &b->f;
    const plan *p = a->p;
    shape z = shape_of(p, a->n_batch, a->n_time, 1);
    float *work = a->work + s * z.size, *gradient = b->gradient + s * p->n_parameters;
    const float *parameters = a->parameters + s * p->n_parameters, *mask = a->mask ? a->mask + s * p->n_parameters : NULL;
    for (int64_t i = 0; i < p->n_layers; i++) {
        const layer *y = &p->layers[i];
        if (y->kind == LTC) {
            if (part == 0) ltc_gradient(y, parameters, mask, work + z.ltc_sums, z.tasks, gradient);
            continue;
        }
        int64_t width = has_state(y) ? y->n_in + y->n : y->n_in, quads = (head_rows_of(y) + 3) / 4;
        int64_t begin = 4 * (quads * part / GRADIENT_PARTS);
        int64_t end = least(4 * (quads * (part + 1) / GRADIENT_PARTS), head_rows_of(y));
        float *dw = gradient + y->at[0];
        outer_product(dw, gradient + y->at[1], work + z.kept[i], z.kept_step[i], work + z.read[i], z.read_step[i],
                      a->n_time, begin, end, width, z.stride);
        if (mask)
            for (int64_t k = begin * width; k < end * width; k++) dw[k] *= mask[y->at[0] + k];
        if (y->kind == CFC_PURE && part == 0) {
            row_sums(gradient + y->at[2], work + z.kept[i] + y->n * z.stride, z.kept_step[i], a->n_time, y->n, z.stride);
            row_sums(gradient + y->at[3], work + z.kept[i] + 2 * y->n * z.stride, z.kept_step[i], a->n_time, y->n, z.stride);
        }
    }
    if (part != 0) return;
    const float *d = work + z.out, *read = work + z.state + p->read_at * z.stride;
    if (p->readout == READ_LINEAR)
        outer_product(gradient + p->read_weight, gradient + p->read_bias, d, z.out_step, read, z.state_step, a->n_time, 0,
                      p->n_out, p->n_read, z.stride);
    if (p->readout == READ_AFFINE)
        for (int64_t k = 0; k < p->n_out; k++)
            outer_product(gradient + p->read_weight + k, gradient + p->read_bias + k, d + k * z.stride, z.out_step,
                          read + k * z.stride, z.state_step, a->n_time, 0, 1, 1, z.stride);
}

static void backward(const backward_args *a, int64_t phase, int64_t seed, int64_t task) {
    if (phase == 0) backward_in_time(a, seed, task);
    else backward_of_parameters(a, seed, task);
}

/* --------------------------------------------------------------------------------------------- the rest of an update */

/* Kingma & Ba 2015, algorithm 1, with decoupled weight decay (Loshchilov & Hutter 2019). */
static void adam(const adam_args *a, int64_t s) {
    double beta1 = a->rates[1], beta2 = a->rates[2], t = a->steps[s] += 1.0;
    double correction1 = 1.0 - pow(beta1, t), correction2 = 1.0 - pow(beta2, t);
    float rate = (float)(a->rates[0] / correction1), root = (float)sqrt(correction2), epsilon = (float)a->rates[3];
    float kept = (float)(1.0 - a->rates[0] * a->rates[4]), b1 = (float)beta1, b2 = (float)beta2;
    float c1 = (float)(1.0 - beta1), c2 = (float)(1.0 - beta2);
    float *x = a->values + s * a->n, *m = a->first + s * a->n, *v = a->second + s * a->n;
    const float *g = a->gradient + s * a->n;
    for (int64_t i = 0; i < a->n; i++) {
        m[i] = b1 * m[i] + c1 * g[i];
        v[i] = b2 * v[i] + c2 * g[i] * g[i];
        x[i] = kept * x[i] - rate * m[i] / (sqrtf(v[i]) / root + epsilon);
    }
}

static void clip(const clip_args *a, int64_t s) {
    float *g = a->gradient + s * a->n;
    double parts[8] = {0}, square = 0.0;
    int64_t i = 0;
    for (; i + 8 <= a->n; i += 8)
        for (int64_t k = 0; k < 8; k++) parts[k] += (double)g[i + k] * g[i + k];
    for (; i < a->n; i++) square += (double)g[i] * g[i];
    for (int64_t k = 0; k < 8; k++) square += parts[k];
    double norm = sqrt(square), scale = a->most / (norm + 1e-6);
    a->norms[s] = (float)norm;
    if (scale >= 1.0) return; /* a NaN goes on and spreads, so that it is found */
    for (i = 0; i < a->n; i++) g[i] *= (float)scale;
}

static void follow(const follow_args *a, int64_t s) {
    float tau = (float)a->tau, *target = a->target + s * a->n;
    const float *source = a->source + s * a->n;
    for (int64_t i = 0; i < a->n; i++) target[i] += tau * (source[i] - target[i]);
}

static void target(const target_args *a, int64_t s) {
    float gamma = (float)a->gamma, scale = (float)a->scale;
    for (int64_t b = 0; b < a->n_batch; b++)
        for (int64_t t = 0; t < a->n_time; t++) {
            int64_t at = (s * a->n_batch + b) * a->n_time + t;
            float reward = a->reward.at[s * a->reward.seed + b * a->reward.batch + t * a->reward.time];
            float ended = a->terminated.at[s * a->terminated.seed + b * a->terminated.batch + t * a->terminated.time];
            a->out[at] = reward * scale + gamma * (1.0f - ended) * a->next_value[at];
        }
}

static void squared_error(const squared_error_args *a, int64_t s) {
    const float *q = a->prediction + s * a->n, *y = a->target + s * a->n;
    float *d = a->gradient + s * a->n, factor = 2.0f / (float)a->n;
    double loss = 0.0, sum = 0.0;
    for (int64_t i = 0; i < a->n; i++) {
        float error = q[i] - y[i];
        d[i] = factor * error;
        loss += (double)error * error;
        sum += q[i];
    }
    a->loss[s] = (float)(loss / (double)a->n);
    a->mean[s] = (float)(sum / (double)a->n);
}

static void mean(const mean_args *a, int64_t s) {
    double sum = 0.0;
    for (int64_t i = 0; i < a->n; i++) sum += a->values[s * a->n + i];
    a->out[s] = (float)(a->factor * sum / (double)a->n);
}

static void gather(const gather_args *a, int64_t s) {
    for (int64_t b = 0; b < a->n_batch; b++) {
        int64_t at = a->starts[s * a->n_batch + b];
        float *out = a->out + (s * a->n_batch + b) * a->n_time * a->width;
        for (int64_t t = 0; t < a->n_time; t++, at = at + 1 < a->capacity ? at + 1 : 0)
            memcpy(out + t * a->width, a->rows + (s * a->capacity + at) * a->width, sizeof(float) * a->width);
    }
}

const kernel_set KERNEL_SET = {NAME, workspace, forward, backward, adam, clip, follow, target, squared_error, mean, gather};
