/* The rest of an update: losses, optimizer, targets, replay. */

/* Kingma & Ba 2015, algorithm 1, with decoupled weight decay (Loshchilov & Hutter 2019): with m and v the moving means of
   g and g^2, x <- x (1 - lr decay) - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon). */
static void adam(const adam_args *a, int64_t s) {
    if (a->sound[s] == 0.0f) return;
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

/* g <- g min(1, max_norm / (norm + 1e-6)), with the norm in double precision, in eight sums that vectorise. */
static void clip(const clip_args *a, int64_t s) {
    float *g = a->gradient + s * a->n;
    double parts[8] = {0}, square = 0.0;
    int64_t i = 0;
    for (; i + 8 <= a->n; i += 8)
        for (int64_t k = 0; k < 8; k++) parts[k] += (double)g[i + k] * g[i + k];
    for (; i < a->n; i++) square += (double)g[i] * g[i];
    for (int64_t k = 0; k < 8; k++) square += parts[k];
    double norm = sqrt(square), scale = a->max_norm / (norm + 1e-6);
    a->norms[s] = (float)norm;
    if (scale >= 1.0) return; /* a NaN goes on and spreads, so that it is found */
    for (i = 0; i < a->n; i++) g[i] *= (float)scale;
}

/* A number that is not finite is no number of at most FLT_MAX: every comparison with NaN is false. */
static void judge(const judge_args *a, int64_t s) {
    if (!(fabsf(a->loss[s]) <= FLT_MAX && a->norms[s] <= FLT_MAX)) a->sound[s] = 0.0f;
}

/* target <- target + tau (source - target) */
static void follow(const follow_args *a, int64_t s) {
    if (a->sound[s] == 0.0f) return;
    float tau = (float)a->tau, *target = a->target + s * a->n;
    const float *source = a->source + s * a->n;
    for (int64_t i = 0; i < a->n; i++) target[i] += tau * (source[i] - target[i]);
}

/* y = scale r + gamma^dt (1 - terminated) q'; a power only where the step is irregular. */
static void td_target(const td_target_args *a, int64_t s) {
    float gamma = (float)a->gamma, scale = (float)a->scale;
    for (int64_t b = 0; b < a->n_batch; b++)
        for (int64_t t = 0; t < a->n_time; t++) {
            int64_t at = (s * a->n_batch + b) * a->n_time + t;
            float reward = a->reward.at[s * a->reward.seed + b * a->reward.batch + t * a->reward.time];
            float ended = a->terminated.at[s * a->terminated.seed + b * a->terminated.batch + t * a->terminated.time];
            float dt = a->dt.at[s * a->dt.seed + b * a->dt.batch + t * a->dt.time];
            float discount = dt == 1.0f ? gamma : powf(gamma, dt);
            a->out[at] = reward * scale + discount * (1.0f - ended) * a->next_value[at];
        }
}

/* loss = mean((q - y)^2) over the steps that count, d loss / dq = 2 (q - y) / their number. */
static void squared_error(const squared_error_args *a, int64_t s) {
    int64_t n = a->n_batch * a->n_time, counted = n - a->n_batch * a->skip;
    const float *q = a->prediction + s * n, *y = a->target + s * n;
    float *d = a->gradient + s * n, factor = 2.0f / (float)counted;
    double loss = 0.0, sum = 0.0;
    for (int64_t b = 0; b < a->n_batch; b++) {
        int64_t begin = b * a->n_time, i = begin;
        for (; i < begin + a->skip; i++) d[i] = 0.0f;
        for (; i < begin + a->n_time; i++) {
            float error = q[i] - y[i];
            d[i] = factor * error;
            loss += (double)error * error;
            sum += q[i];
        }
    }
    a->loss[s] = (float)(loss / (double)counted);
    a->mean[s] = (float)(sum / (double)counted);
}

static void mean(const mean_args *a, int64_t s) {
    const float *values = a->values + s * a->n_batch * a->n_time;
    double sum = 0.0;
    for (int64_t b = 0; b < a->n_batch; b++)
        for (int64_t t = a->skip; t < a->n_time; t++) sum += values[b * a->n_time + t];
    a->out[s] = (float)(a->factor * sum / (double)(a->n_batch * (a->n_time - a->skip)));
}

/* The smaller of two numbers; NaN spreads. */
INLINE float smaller(float x, float y) { return x <= y || x != x ? x : y; }

static void minimum(const minimum_args *a, int64_t s) {
    float *out = a->out + s * a->n;
    for (int64_t i = 0; i < a->n; i++) {
        out[i] = a->values[0][s * a->n + i];
        for (int64_t k = 1; k < a->n_values; k++) out[i] = smaller(out[i], a->values[k][s * a->n + i]);
    }
}

/* The smallest of the values that this seed has chosen, Chen et al. 2021, algorithm 1; a position that isn't there gives
   NaN, so that it is found. */
static void minimum_of(const minimum_of_args *a, int64_t s) {
    int64_t n = a->n_batch * a->n_time;
    float *out = a->out + s * n;
    for (int64_t i = 0; i < n; i++) out[i] = INFINITY;
    for (int64_t m = 0; m < a->width; m++) {
        int64_t k = a->chosen[s * a->width + m], is_there = k >= 0 && k < a->n_values;
        for (int64_t i = 0; i < n; i++) out[i] = smaller(out[i], is_there ? a->values[k][s * n + i] : NAN);
    }
}

static void average(const average_args *a, int64_t s) {
    float *out = a->out + s * a->n, share = 1.0f / (float)a->n_values;
    memcpy(out, a->values[0] + s * a->n, sizeof(float) * (size_t)a->n);
    for (int64_t k = 1; k < a->n_values; k++)
        for (int64_t i = 0; i < a->n; i++) out[i] += a->values[k][s * a->n + i];
    for (int64_t i = 0; i < a->n; i++) out[i] *= share;
}

/* Add clipped noise to actions in [-1, 1], and keep them there. */
static void perturbed(const perturbed_args *a, int64_t s) {
    const float *action = a->action + s * a->n, *noise = a->noise + s * a->n;
    float *out = a->out + s * a->n, std = (float)a->std, most = (float)a->most;
    for (int64_t i = 0; i < a->n; i++) {
        float step = std * noise[i];
        step = step < -most ? -most : step > most ? most : step;
        float moved = action[i] + step;
        out[i] = moved < -1.0f ? -1.0f : moved > 1.0f ? 1.0f : moved;
    }
}

/* The state before each step of a window is the one after the step before; zeros come first. */
static void before(const before_args *a, int64_t s) {
    int64_t row = a->n_time * a->width;
    for (int64_t b = s * a->n_batch; b < (s + 1) * a->n_batch; b++) {
        memset(a->out + b * row, 0, sizeof(float) * (size_t)a->width);
        memcpy(a->out + b * row + a->width, a->states + b * row, sizeof(float) * (size_t)(row - a->width));
    }
}

/* Copy windows of consecutive rows out of a ring, from every start alike that has a whole window after it. */
static void gather(const gather_args *a, int64_t s) {
    int64_t size = a->size[s], oldest = size == a->capacity ? a->position[s] : 0;
    double n_starts = size < a->n_time ? 1.0 : (double)(size - a->n_time + 1);
    for (int64_t b = 0; b < a->n_batch; b++) {
        int64_t at = oldest + (int64_t)(a->uniform[s * a->n_batch + b] * n_starts);
        if (at >= a->capacity) at -= a->capacity;
        float *out = a->out + (s * a->n_batch + b) * a->n_time * a->width;
        for (int64_t t = 0; t < a->n_time; t++, at = at + 1 < a->capacity ? at + 1 : 0)
            memcpy(out + t * a->width, a->rows + (s * a->capacity + at) * a->width, sizeof(float) * a->width);
    }
}
