/* Cells with gates whose old state has a path of its own: GRU, GRU-D, leaky cell, LSTM. */

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

/* Decay of the old state before a GRU reads it (Che et al. 2018, eqs. 10 and 12), with a weight w and a bias c for each neuron:

       h = g h_old,   g = exp(-max(0, w dt + c))

   Kept are h_old and g, in the rows after the heads. */
static void decay_forward(const step *a, float *old) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
    for (int64_t u = 0; u < n; u++) {
        float *before = a->kept + (KIND_OF_LAYER[y->kind].heads * n + u) * stride, *kept = before + n * stride;
        vf weight = v_set(a->parameters[y->at[2] + u]), bias = v_set(a->parameters[y->at[3] + u]);
        LOOP(l) {
            vf rate = v_fma(weight, v_load(a->elapsed + l), bias), h = v_load(old + u * stride + l);
            vf keep = v_exp(v_neg(v_where_positive(v_neg(rate), v_zero(), rate))); /* NaN stays NaN */
            v_store(before + l, h), v_store(kept + l, keep);
            v_store(old + u * stride + l, v_mul(keep, h));
        }
    }
}

/* ``d`` holds dh, all of it, and becomes dh_old = dh g. Since g' = -g where w dt + c > 0, and 0 elsewhere,

       dc = -dh h_old g,   dw = dc dt

   which gradient_of_layer sums over samples and steps, as it does for all rows after the heads'. */
static void decay_backward(const step *a, float *d) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes;
    for (int64_t u = 0; u < n; u++) {
        float *before = a->kept + (KIND_OF_LAYER[y->kind].heads * n + u) * stride, *kept = before + n * stride;
        vf weight = v_set(a->parameters[y->at[2] + u]), bias = v_set(a->parameters[y->at[3] + u]);
        LOOP(l) {
            vf elapsed = v_load(a->elapsed + l), rate = v_fma(weight, elapsed, bias);
            vf d_old = v_mul(v_load(d + u * stride + l), v_load(kept + l));
            vf d_rate = v_where_positive(rate, v_neg(v_mul(d_old, v_load(before + l))), v_zero());
            v_store(d + u * stride + l, d_old);
            v_store(before + l, v_mul(d_rate, elapsed)), v_store(kept + l, d_rate);
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
