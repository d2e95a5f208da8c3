/* CfC layers: one step, forward and backward. */

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
