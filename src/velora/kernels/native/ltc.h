/* The liquid time-constant cell. */

#define LEAST_CAPACITY 1e-8f

/* Sums that it collects over lanes for one task: per synapse, per input, per neuron; and its constants. */
static int64_t ltc_sums_of(const layer *y) { return 4 * (y->n + y->n_in) * y->n + 2 * y->n_in + 4 * y->n; }
static int64_t ltc_constants_of(const layer *y) { return 4 * (y->n + y->n_in) * y->n + 4 * y->n; }

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
            const int64_t *m = y->at + (j < n ? LTC_SIGMA : LTC_SENSORY_SIGMA);
            float exists = mask ? mask[m[LTC_W - LTC_SIGMA] + e] : 1.0f;
            float sigma = p[m[0] + e], mu = p[m[1] + e];
            constants[at] = j < n ? sigma : sigma * p[y->at[LTC_INPUT_W] + k];
            constants[at + 1] = j < n ? -sigma * mu : sigma * (p[y->at[LTC_INPUT_B] + k] - mu);
            constants[at + 2] = exists != 0.0f ? softplus(p[m[2] + e]) : 0.0f;
            constants[at + 3] = p[m[3] + e];
        }
    }
    for (int64_t i = 0; i < n; i++, at += 4) {
        constants[at] = softplus(p[y->at[LTC_GLEAK] + i]);
        constants[at + 1] = constants[at] * p[y->at[LTC_VLEAK] + i];
        constants[at + 2] = softplus(p[y->at[LTC_CM] + i]) + LEAST_CAPACITY;
    }
}

/* Add to every target what its synapses from ``n_from`` sources pull and conduct: a synapse from v_j opens by
   p = sigmoid(slope v_j + offset), conducts w p and pulls w p erev. */
static void ltc_currents(const float *synapse, const float *v, int64_t n_from, int64_t n, float *pull, float *conduct,
                         int64_t stride, int64_t lanes) {
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

/* A sub-step of length e = dt / unfolds (Hasani et al. 2021, algorithm 1), solved for the new v in the term that leaks:

       v' = (C v + e (pull + leak vleak)) / (C + e (conduct + leak)) = above / below

   What the inputs and the leak give is the same in every sub-step, ``fixed_pull`` and ``fixed_conduct``. Kept are v and
   ``below`` of every sub-step. */
static void ltc_forward(const step *a) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes, rows = n * stride;
    const float *synapses = a->ltc_constants, *senses = synapses + 4 * n * n, *neurons = senses + 4 * n * y->n_in;
    float *fixed_pull = a->ltc_rows, *fixed_conduct = fixed_pull + rows, *pull = fixed_conduct + rows;
    float *conduct = pull + rows, *v = a->kept, *den = v + y->unfolds * rows;
    vf part = v_set(1.0f / (float)y->unfolds);
    zero_rows(fixed_pull, 2 * n, stride, lanes);
    ltc_currents(senses, a->read, y->n_in, n, fixed_pull, fixed_conduct, stride, lanes);
    for (int64_t i = 0; i < n; i++) {
        vf leak = v_set(neurons[4 * i]), pulled = v_set(neurons[4 * i + 1]);
        float *p = fixed_pull + i * stride, *c = fixed_conduct + i * stride;
        LOOP(l) {
            vf elapsed = v_mul(v_load(a->elapsed + l), part);
            v_store(p + l, v_mul(elapsed, v_add(pulled, v_load(p + l))));
            v_store(c + l, v_mul(elapsed, v_add(leak, v_load(c + l))));
        }
    }
    copy_rows(v, a->read + y->n_in * stride, n, stride, lanes);
    for (int64_t k = 0; k < y->unfolds; k++, v += rows, den += rows) {
        zero_rows(pull, 2 * n, stride, lanes);
        ltc_currents(synapses, v, n, n, pull, conduct, stride, lanes);
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
   ``d_from`` the gradients of the sources. ``d_pull`` and ``d_conduct`` are the gradients of the targets' currents.
   With the strength a = w p: da = d_pull erev + d_conduct, d(pre) = da w p (1 - p), dv_j = d(pre) slope. */
static void ltc_currents_backward(const float *synapse, const float *v, int64_t n_from, int64_t n, const float *d_pull,
                                  const float *d_conduct, float *d_from, float *sums, int64_t stride,
                                  int64_t lanes) {
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

/* ``d`` holds the gradient of the new state; ``d_read`` receives those of the inputs and the old state. Backwards through
   the sub-steps, from v' = above / below:

       d_above = dv' / below,   d_below = -d_above v'
       dv = C d_above + through the synapses,   dC = d_above v + d_below
       d_pull = e d_above,   d_conduct = e d_below

   The inputs' and the leak's currents are the same in all sub-steps, so their gradients are those of the sums. */
static void ltc_backward(const step *a, const float *d, float *d_read) {
    const layer *y = a->y;
    int64_t n = y->n, stride = a->stride, lanes = a->lanes, rows = n * stride;
    const float *synapses = a->ltc_constants, *senses = synapses + 4 * n * n, *neurons = senses + 4 * n * y->n_in;
    float *d_above = a->ltc_rows, *d_below = d_above + rows, *d_pull = d_below + rows, *d_conduct = d_pull + rows;
    float *sum_above = d_conduct + rows, *sum_below = sum_above + rows, *d_v = d_read + y->n_in * stride;
    float *sums = a->ltc_sums, *sense_sums = sums + 4 * n * n * VL;
    float *neuron_sums = sense_sums + (4 * n * y->n_in + 2 * y->n_in) * VL;
    vf part = v_set(1.0f / (float)y->unfolds);
    copy_rows(d_v, d, n, stride, lanes);
    zero_rows(sum_above, 2 * n, stride, lanes);
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
        ltc_currents_backward(synapses, v, n, n, d_pull, d_conduct, d_v, sums, stride, lanes);
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
    zero_rows(d_read, y->n_in, stride, lanes);
    ltc_currents_backward(senses, a->read, y->n_in, n, d_pull, d_conduct, d_read, sense_sums, stride, lanes);
}

/* Turn the sums of all tasks into gradients of the parameters. For a synapse slope = sigma and offset = -sigma mu, and for
   one from an input i, which is read as w_i x + b_i: slope = sigma w_i, offset = sigma (b_i - mu). Strengths, leaks and
   capacities are softplus of their parameters, whose derivative is the logistic function. */
static void ltc_gradient(const layer *y, const float *p, const float *mask, strided_rows sums, int64_t n_tasks,
                         float *gradient) {
    int64_t n = y->n;
    for (int64_t k = 0; k < y->n_in; k++) gradient[y->at[LTC_INPUT_W] + k] = gradient[y->at[LTC_INPUT_B] + k] = 0.0f;
#define TOTAL(where, into)                                                                               \
    for (int64_t q = 0; q < 4; q++) {                                                                    \
        into[q] = 0.0f;                                                                                  \
        for (int64_t t = 0; t < n_tasks; t++)                                                            \
            for (int64_t x = 0; x < VL; x++) into[q] += sums.at[t * sums.task + ((where) + q) * VL + x]; \
    }
    for (int64_t j = 0; j < n + y->n_in; j++) {
        int64_t k = j - n;
        for (int64_t i = 0; i < n; i++) {
            int64_t e = j < n ? j * n + i : k * n + i;
            const int64_t *m = y->at + (j < n ? LTC_SIGMA : LTC_SENSORY_SIGMA);
            float s[4] = {0, 0, 0, 0}, sigma = p[m[0] + e], mu = p[m[1] + e], w = p[m[2] + e];
            if (!mask || mask[m[LTC_W - LTC_SIGMA] + e] != 0.0f) TOTAL(4 * (j * n + i), s);
            float input_w = j < n ? 1.0f : p[y->at[LTC_INPUT_W] + k], input_b = j < n ? 0.0f : p[y->at[LTC_INPUT_B] + k];
            gradient[m[0] + e] = s[1] * input_w + s[0] * (input_b - mu);
            gradient[m[1] + e] = -sigma * s[0];
            gradient[m[2] + e] = s[2] * logistic(w);
            gradient[m[3] + e] = softplus(w) * s[3];
            if (j >= n) {
                gradient[y->at[LTC_INPUT_W] + k] += s[1] * sigma;
                gradient[y->at[LTC_INPUT_B] + k] += s[0] * sigma;
            }
        }
    }
    int64_t at = 4 * n * n + 4 * n * y->n_in + 2 * y->n_in;
    for (int64_t i = 0; i < n; i++) {
        float s[4], leak = p[y->at[LTC_GLEAK] + i], v = p[y->at[LTC_VLEAK] + i];
        TOTAL(at + 4 * i, s);
        gradient[y->at[LTC_GLEAK] + i] = (s[0] + s[1] * v) * logistic(leak);
        gradient[y->at[LTC_VLEAK] + i] = softplus(leak) * s[1];
        gradient[y->at[LTC_CM] + i] = s[2] * logistic(p[y->at[LTC_CM] + i]);
    }
#undef TOTAL
}
