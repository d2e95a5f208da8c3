/* The cells but the LTC: one layer, one step, forward and backward. */

/* What one layer works on at one step: rows of the lanes of one task. */
typedef struct {
    const layer *y;
    const float *parameters, *mask;
    const float *read;   /* input rows, then state rows */
    int64_t n_read;      /* rows that can be other than zero: without the state's where every step begins afresh */
    float *kept, *state; /* what it keeps; where its new state goes */
    const float *elapsed; /* dt of every lane */
    int64_t stride, lanes;
    float *ltc_constants, *ltc_rows, *ltc_sums;
} step;

static void cfc_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, 4 * n, a->n_read, a->parameters + y->at[1], 0,
            stride, lanes);
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

/* ``d`` holds the gradient of the new state; the kept rows become the gradients of the heads. ``direct`` receives the
   gradient that reaches the old state past the heads, in kinds that have such a path. */
static void cfc_backward(const step *a, const float *d, float *direct) {
    (void)direct;
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
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
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, n, a->n_read, a->parameters + y->at[1], 0,
            stride, lanes);
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

static void pure_backward(const step *a, const float *d, float *direct) {
    (void)direct;
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
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
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, 4 * n, a->n_read, a->parameters + y->at[1], 0,
            stride, lanes);
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

static void gru_backward(const step *a, const float *d, float *direct) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
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

/* keep = exp(-dt * softplus(rate)), h = new + keep * (before - new). The rate's row becomes the slope of keep by the rate,
   -dt * keep * sigmoid(rate); keep itself comes after the heads. */
static void leaky_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes, resets = y->kind == LEAKY, heads = resets ? 4 : 2;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, heads * n, a->n_read, a->parameters + y->at[1], 0,
            stride, lanes);
    const float *before = a->read + y->n_in * stride;
    vf one = v_set(1.0f);
    for (int64_t u = 0; u < n; u++) {
        float *r = a->kept + u * stride, *z = r + (resets ? n * stride : 0), *x = z + n * stride, *s = x + n * stride;
        float *k = a->kept + (heads * n + u) * stride;
        LOOP(l) {
            vf rate = v_load(z + l), e = v_exp(v_neg(v_abs(rate))), elapsed = v_neg(v_load(a->elapsed + l));
            vf soft = v_add(v_where_positive(rate, rate, v_zero()), v_log_one_plus(e));
            vf keep = v_exp(v_mul(elapsed, soft)), new = v_load(x + l);
            if (resets) {
                vf reset = v_sigmoid(v_load(r + l));
                new = v_fma(reset, v_load(s + l), new);
                v_store(r + l, reset);
            }
            new = v_tanh(new);
            vf slope = v_div(v_where_positive(rate, one, e), v_add(one, e));
            v_store(z + l, v_mul(v_mul(elapsed, keep), slope)), v_store(x + l, new), v_store(k + l, keep);
            v_store(a->state + u * stride + l, v_fma(keep, v_sub(v_load(before + u * stride + l), new), new));
        }
    }
}

static void leaky_backward(const step *a, const float *d, float *direct) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes, resets = y->kind == LEAKY, heads = resets ? 4 : 2;
    const float *before = a->read + y->n_in * stride;
    vf one = v_set(1.0f);
    for (int64_t u = 0; u < n; u++) {
        float *r = a->kept + u * stride, *z = r + (resets ? n * stride : 0), *x = z + n * stride, *s = x + n * stride;
        const float *k = a->kept + (heads * n + u) * stride;
        LOOP(l) {
            vf slope = v_load(z + l), keep = v_load(k + l), new = v_load(x + l), dh = v_load(d + u * stride + l);
            vf dx = v_mul(v_mul(dh, v_sub(one, keep)), v_sub(one, v_mul(new, new)));
            v_store(direct + u * stride + l, v_mul(dh, keep));
            v_store(z + l, v_mul(v_mul(dh, v_sub(v_load(before + u * stride + l), new)), slope));
            v_store(x + l, dx);
            if (resets) {
                vf reset = v_load(r + l);
                v_store(r + l, v_mul(v_mul(dx, v_load(s + l)), v_mul(reset, v_sub(one, reset))));
                v_store(s + l, v_mul(dx, reset));
            }
        }
    }
}

static void dense_forward(const step *a) {
    const layer *y = a->y;
    int64_t stride = a->stride, lanes = a->lanes;
    product(a->state, a->parameters + y->at[0], y->n_in, 1, a->read, y->n, y->n_in, a->parameters + y->at[1], 0, stride,
            lanes);
    for (int64_t u = 0; u < y->n; u++) {
        float *h = a->state + u * stride;
        LOOP(l) {
            vf x = v_load(h + l);
            /* max(x, 0), and NaN stays NaN */
            v_store(h + l, y->kind == TANH ? v_tanh(x) : v_where_positive(v_neg(x), v_zero(), x));
        }
    }
}

static void dense_backward(const step *a, const float *d, float *direct) {
    const layer *y = a->y;
    int64_t stride = a->stride, lanes = a->lanes;
    (void)direct; /* there is no old state */
    for (int64_t u = 0; u < y->n; u++) {
        LOOP(l) {
            vf h = v_load(a->state + u * stride + l), dh = v_load(d + u * stride + l);
            vf dx = y->kind == TANH ? v_mul(dh, v_sub(v_set(1.0f), v_mul(h, h))) : v_where_positive(h, dh, v_zero());
            v_store(a->kept + u * stride + l, dx);
        }
    }
}

/* An LSTM before other layers, which take what it reveals as their old state; or a layer, which reveals its new state. */
static void lstm_forward(const step *a, const float *memory_before, float *memory, float *revealed) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
    product(a->kept, a->parameters + y->at[0], y->n_in + n, 1, a->read, 4 * n, a->n_read, a->parameters + y->at[1], 0,
            stride, lanes);
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
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
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
