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

/* CfC (Hasani et al. 2022, eq. 4). The heads a, b, c, d are linear maps of (x, h_old):

       x1 = tanh(a),  x2 = tanh(b),  g = sigmoid(c dt + d)
       default: h = (1 - g) x1 + g x2        no_gate: h = x1 + g x2

   Kept are x1, x2 and g, in the rows of a, b and d. */
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

/* ``d`` holds dh, the gradient of the new state; the kept rows become the gradients of the heads. ``direct`` receives the
   gradient that reaches the old state past the heads, in kinds that have such a path.

   With tanh' = 1 - tanh^2 and sigmoid' = g (1 - g), the chain rule gives

       da = dh (1 - g) (1 - x1^2)     (no_gate: dh (1 - x1^2))
       db = dh g (1 - x2^2)
       dd = dh (x2 - x1) g (1 - g)    (no_gate: dh x2 g (1 - g))
       dc = dd dt */
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

/* Pure CfC (Hasani et al. 2022, eq. 3), with one head f: h = A - A e f, e = exp(-dt (|w_tau| + |f|)).
   Kept are f and e; the third row is for the gradient of A. */
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

/* With u = e f, so that h = A - A u, and du = -A dh:

       df     = du e + dleak sign(f)          (f enters e too, through |f|)
       dleak  = du f de/dleak = -du u dt      (leak is the exponent's |w_tau| + |f|)
       dw_tau = dleak sign(w_tau),  dA = dh (1 - u)

   The last two are summed over samples and steps by gradient_of_layer. */
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

/* GRU (Cho et al. 2014, as torch.nn.GRUCell has it), with the heads a, b of (x, h_old), c of x and s of h_old:

       r = sigmoid(a),  z = sigmoid(b),  n = tanh(c + r s),  h = (1 - z) n + z h_old

   Kept are r, z, n and s. */
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

/*     dc = dh (1 - z) (1 - n^2)              the argument of n, with n' = 1 - n^2
       ds = dc r,   da = dc s r (1 - r),   db = dh (h_old - n) z (1 - z)
       direct = dh z                          what reaches h_old past the heads */
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

/* Leaky cell: dh/dt = -rate (h - n) over one step, with rate and n held, is solved by

       k = exp(-dt softplus(b)),  n = tanh(c + r s) or tanh(c),  r = sigmoid(a),  h = (1 - k) n + k h_old

   Kept are r, n, s; dk/db = -dt k sigmoid(b), since softplus' = sigmoid, in the row of the rate b; and k after the heads.
   softplus(b) = max(b, 0) + log(1 + exp(-|b|)) doesn't overflow. */
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

/* As a GRU's with k for z: dc = dh (1 - k) (1 - n^2), ds = dc r, da = dc s r (1 - r), direct = dh k; but
   db = dh (h_old - n) dk/db. */
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

/* h = tanh(a) or max(a, 0), with one head a of x alone. */
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

/* da = dh (1 - h^2), or dh where h > 0; nothing reaches an old state. */
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

/* LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), with the heads c, i, f, o:

       m = sigmoid(i) tanh(c) + sigmoid(f) m_old,   revealed = sigmoid(o) tanh(m)

   Before other layers, what it reveals is their old state; as a layer it is the new state. Kept are the four heads after
   their functions, m_old and tanh(m). */
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

/* ``d_memory`` holds the gradient of m, ``d_memory_before`` receives that of m_old. With t = tanh(m), y = revealed:

       dm = d_memory + dy o (1 - t^2),   dm_old = dm f
       dc = dm i (1 - c^2),  di = dm c i (1 - i),  df = dm m_old f (1 - f),  do = dy t o (1 - o) */
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
