/* What a soft actor-critic computes between its networks. The formulas are in velora/ops/backend.py. */

/* log(1 + x) for x in [0, 1], by log(1 + x) = 2 artanh(x / (2 + x)) and its series; the relative error is below 2e-9. */
INLINE vf v_log1p(vf x) {
    vf s = v_div(x, v_add(x, v_set(2.0f))), z = v_mul(s, s);
    vf sum = v_set(2.0f / 15);
    for (int k = 13; k > 0; k -= 2) sum = v_fma(sum, z, v_set(2.0f / (float)k));
    return v_mul(s, sum);
}

/* One action of some samples: mean, what its deviation comes from, and noise. */
typedef struct {
    float mean[LANES], raw[LANES], noise[LANES];
} gaussian;

static void read_column(float *to, const float *from, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = from[i * step];
    for (int64_t i = n; i < LANES; i++) to[i] = 0.0f;
}

static void write_column(float *to, const float *from, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i * step] = from[i];
}

static void read_gaussian(gaussian *g, const float *out, const float *noise, int64_t width, int64_t n) {
    read_column(g->mean, out, 2 * width, n);
    read_column(g->raw, out + width, 2 * width, n);
    read_column(g->noise, noise, width, n);
}

/* u = mean + std noise, action = tanh(u), log std = middle + half tanh(raw), and
   log p = sum over actions of -noise^2 / 2 - log std - log(2 pi) / 2 - log(1 - tanh(u)^2), whose last term is
   2 (log 2 - |u| - log(1 + exp(-2 |u|))) (Haarnoja et al. 2018, appendix C). */
static void squashed(const squashed_args *a, int64_t s) {
    const vf middle = v_set((float)a->middle), half = v_set((float)a->half);
    gaussian g;
    float action[LANES];
    for (int64_t i = 0; i < a->n; i += LANES) {
        int64_t at = s * a->n + i, n = a->n - i < LANES ? a->n - i : LANES;
        float log_prob[LANES] = {0};
        for (int64_t j = 0; j < a->width; j++) {
            read_gaussian(&g, a->out + at * 2 * a->width + j, a->noise + at * a->width + j, a->width, n);
            for (int64_t l = 0; l < n; l += VL) {
                vf noise = v_load(g.noise + l), log_std = v_fma(half, v_tanh(v_load(g.raw + l)), middle);
                vf u = v_fma(v_exp(log_std), noise, v_load(g.mean + l)), size = v_abs(u);
                vf squeezed = v_add(v_sub(size, v_set(0.693147181f)), v_log1p(v_exp(v_mul(v_set(-2.0f), size))));
                vf p = v_sub(v_mul(v_set(2.0f), squeezed), v_add(log_std, v_set(0.918938533f))); /* log(2 pi) / 2 */
                p = v_fma(v_mul(v_set(-0.5f), noise), noise, p);
                v_store(log_prob + l, v_add(v_load(log_prob + l), p));
                v_store(action + l, v_tanh(u));
            }
            write_column(a->action + at * a->width + j, action, a->width, n);
        }
        memcpy(a->log_prob + at, log_prob, sizeof(float) * (size_t)n);
    }
}

/* The noise being given, du/dmean = 1, du/dlog std = std noise, and dlog p/du = 2 tanh(u), so that
       d_mean = d_action (1 - action^2) + 2 action d_p
       d_log_std = d_mean std noise - d_p,   d_raw = d_log_std half (1 - tanh(raw)^2) */
static void squashed_gradient(const squashed_gradient_args *a, int64_t s) {
    const vf middle = v_set((float)a->middle), half = v_set((float)a->half), one = v_set(1.0f);
    gaussian g;
    float d_actions[LANES], more[LANES], d_log_prob[LANES];
    for (int64_t i = 0; i < a->n; i += LANES) {
        int64_t at = s * a->n + i, n = a->n - i < LANES ? a->n - i : LANES;
        read_column(d_log_prob, a->d_log_prob + at, 1, n);
        for (int64_t j = 0; j < a->width; j++) {
            int64_t own = at * a->width + j, both = at * 2 * a->width + j;
            read_gaussian(&g, a->out + both, a->noise + own, a->width, n);
            read_column(d_actions, a->d_actions[0] + own, a->width, n);
            for (int64_t k = 1; k < a->n_d_actions; k++) {
                read_column(more, a->d_actions[k] + own, a->width, n);
                for (int64_t l = 0; l < n; l += VL)
                    v_store(d_actions + l, v_add(v_load(d_actions + l), v_load(more + l)));
            }
            for (int64_t l = 0; l < n; l += VL) {
                vf raw = v_tanh(v_load(g.raw + l)), moved = v_mul(v_exp(v_fma(half, raw, middle)), v_load(g.noise + l));
                vf action = v_tanh(v_add(v_load(g.mean + l), moved)), d_p = v_load(d_log_prob + l);
                vf d_action = v_load(d_actions + l);
                vf d_mean = v_mul(d_action, v_sub(one, v_mul(action, action)));
                d_mean = v_fma(v_mul(v_set(2.0f), action), d_p, d_mean);
                vf d_log_std = v_sub(v_mul(d_mean, moved), d_p);
                v_store(g.mean + l, d_mean);
                v_store(g.raw + l, v_mul(v_mul(d_log_std, half), v_sub(one, v_mul(raw, raw))));
            }
            write_column(a->d_out + both, g.mean, 2 * a->width, n);
            write_column(a->d_out + both + a->width, g.raw, 2 * a->width, n);
        }
    }
}

static void soft_minimum(const soft_minimum_args *a, int64_t s) {
    int64_t n = a->n_batch * a->n_time;
    float *out = a->out + s * n, temperature = expf(a->log_temperature[s]);
    for (int64_t i = 0; i < n; i++) {
        float least = a->values[0][s * n + i];
        for (int64_t k = 1; k < a->n_values; k++) least = smaller(least, a->values[k][s * n + i]);
        out[i] = least - temperature * a->log_prob[s * n + i];
    }
}

/* d mean(min_k q_k - temperature * log_prob): each counted step has 1 / their number, all of it at the first of the
   smallest values, and -temperature of that at the logarithm of the density. */
static void soft_minimum_gradient(const soft_minimum_gradient_args *a, int64_t s) {
    float each = (float)(a->factor / (double)(a->n_batch * (a->n_time - a->skip)));
    float d_log_prob = -each * expf(a->log_temperature[s]);
    for (int64_t b = s * a->n_batch; b < (s + 1) * a->n_batch; b++)
        for (int64_t t = 0; t < a->n_time; t++) {
            int64_t i = b * a->n_time + t, counts = t >= a->skip, least = 0, has_nan = 0; /* which spreads to all */
            for (int64_t k = 0; k < a->n_values; k++) {
                if (a->values[least][i] > a->values[k][i]) least = k;
                has_nan |= a->values[k][i] != a->values[k][i];
            }
            for (int64_t k = 0; k < a->n_values; k++)
                a->d_values[k][i] = !counts ? 0.0f : has_nan ? NAN : k == least ? each : 0.0f;
            a->d_log_prob[i] = counts ? d_log_prob : 0.0f;
        }
}

static void temperature(const temperature_args *a, int64_t s) {
    a->gradient[s] = a->entropy[s] - (float)a->target;
    a->loss[s] = a->log_temperature[s] * a->gradient[s];
    a->temperature[s] = expf(a->log_temperature[s]);
}

static void copy(const copy_args *a, int64_t s) {
    memcpy(a->out + s * a->n, a->source + s * a->n, sizeof(float) * (size_t)a->n);
}
