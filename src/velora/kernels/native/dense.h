/* Dense layers: one step, forward and backward. */

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
    (void)direct; /* there is no old state; unroll.h zeroes the rows where somebody asks for them */
    for (int64_t u = 0; u < y->n; u++) {
        LOOP(l) {
            vf h = v_load(a->state + u * stride + l), dh = v_load(d + u * stride + l);
            /* d max(x, 0) / dx is 1 where h > 0, else 0, which h is then: or NaN, which spreads */
            vf dx = y->kind == TANH ? v_mul(dh, v_sub(v_set(1.0f), v_mul(h, h))) : v_where_positive(h, dh, h);
            v_store(a->kept + u * stride + l, dx);
        }
    }
}
