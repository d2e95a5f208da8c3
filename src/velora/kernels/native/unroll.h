/* Whole networks along time: the workspace, forward, backward, and the gradients of the parameters. */

static int has_state(const layer *y) { return KIND_OF_LAYER[y->kind].has_state; }

/* ------------------------------------------------------------------------------------------------------- workspace */

/* Rows of what a layer reads: its input, then its own state. A TANH or RELU layer has no state, and reads the state of
   the layer before where that lies. */
static int64_t read_rows_of(const plan *p, int64_t i) {
    const layer *y = &p->layers[i];
    if (!has_state(y)) return i > 0 ? 0 : y->n_in;
    return y->n_in + y->n;
}

/* Rows of what a layer keeps for its gradient. The first rows become the gradients of its heads, the next those of its own
   tensors, which are one number a neuron. */
static int64_t kept_rows_of(const layer *y) { return KIND_OF_LAYER[y->kind].kept * y->unfolds * y->n; }

static int64_t head_rows_of(const layer *y) { return KIND_OF_LAYER[y->kind].heads * y->n; }

/* Rows that a layer reads and that can be other than zero. With a memory only the LSTM reads the old state. */
static int64_t n_read_of(const forward_args *a, int64_t i) {
    const layer *y = &a->p->layers[i];
    int skips_state = !has_state(y) || (a->begins_afresh && !(a->p->has_memory && i > 0));
    return skips_state ? y->n_in : y->n_in + y->n;
}

/* Where the parts of one task's memory are, in floats from its beginning: a task has its rows to itself, so that they
   fit into the cache together. A step of the sequence has one slot, or, where nothing is kept, one of two. */
typedef struct {
    int64_t stride, tasks, slots;
    int64_t read[MAX_LAYERS], read_step[MAX_LAYERS], kept[MAX_LAYERS], kept_step[MAX_LAYERS];
    int64_t state, state_step, out, out_step, back[2], inner, ltc_sums, ltc_constants, ltc_rows, task_size;
} shape;

static shape shape_of(const plan *p, int64_t n_batch, int64_t n_time, int64_t keeps) {
    shape s;
    s.stride = least(LANES, padded(n_batch));
    s.tasks = (padded(n_batch) + LANES - 1) / LANES;
    s.slots = keeps ? n_time : least(n_time, 2);
    int64_t at = 0, widest = 0;
    const layer *ltc = NULL;
    s.state = at, s.state_step = p->state_size * s.stride, at += s.slots * s.state_step;
    for (int64_t i = 0; i < p->n_layers; i++) {
        const layer *y = &p->layers[i];
        int64_t rows = read_rows_of(p, i);
        s.read[i] = at, s.read_step[i] = rows * s.stride, at += s.slots * s.read_step[i];
        if (rows == 0) s.read[i] = s.state + p->layers[i - 1].state_at * s.stride, s.read_step[i] = s.state_step;
        s.kept[i] = at, s.kept_step[i] = kept_rows_of(y) * s.stride, at += s.slots * s.kept_step[i];
        if (y->n_in + y->n > widest) widest = y->n_in + y->n;
        if (y->kind == LTC) ltc = y;
    }
    s.out = at, s.out_step = p->n_out * s.stride, at += s.slots * s.out_step;
    s.back[0] = s.back[1] = s.inner = s.ltc_sums = at;
    if (keeps) {
        s.back[0] = at, at += p->state_size * s.stride;
        s.back[1] = at, at += p->state_size * s.stride;
        s.inner = at, at += (widest > p->n_out ? widest : p->n_out) * s.stride;
        s.ltc_sums = at;
        if (ltc) at += ltc_sums_of(ltc) * VL;
    }
    s.ltc_constants = s.ltc_rows = at;
    if (ltc) {
        at = padded(at + ltc_constants_of(ltc));
        s.ltc_rows = at, at += 6 * ltc->n * s.stride;
    }
    s.task_size = padded(at);
    return s;
}

static int64_t workspace(const plan *p, int64_t n_batch, int64_t n_time, int64_t keeps) {
    shape s = shape_of(p, n_batch, n_time, keeps);
    return s.tasks * s.task_size;
}

/* ------------------------------------------------------------------------------------------------ one task's inputs */

/* The lanes of one task of one seed. */
typedef struct {
    const forward_args *a;
    shape z;
    int64_t seed, first, n_batch, lanes; /* its first sample, how many samples it has, and lanes with the padding */
    int is_timed; /* a layer has a state, and may ask how much time has passed */
    float *work;
    float elapsed[LANES];
} task_of_seed;

static void begin_task(task_of_seed *k, const forward_args *a, int64_t seed, int64_t task) {
    k->a = a, k->seed = seed;
    k->z = shape_of(a->p, a->n_batch, a->n_time, a->keeps);
    k->first = task * LANES;
    k->n_batch = least(LANES, a->n_batch - k->first);
    k->lanes = padded(k->n_batch);
    k->work = a->work + (seed * k->z.tasks + task) * k->z.task_size;
    k->is_timed = 0;
    for (int64_t i = 0; i < a->p->n_layers; i++) k->is_timed |= has_state(&a->p->layers[i]);
}

static void read_elapsed(task_of_seed *k, int64_t t) {
    const input *dt = &k->a->dt;
    const float *at = dt->at ? dt->at + k->seed * dt->seed + k->first * dt->batch + t * dt->time : NULL;
    if (!k->is_timed) return;
    for (int64_t b = 0; b < k->lanes; b++) k->elapsed[b] = at && b < k->n_batch ? at[b * dt->batch] : 1.0f;
}

/* Zero the lanes of samples whose episode begins at step t. */
static void forget(const task_of_seed *k, float *rows, int64_t n_rows, int64_t t) {
    const forward_args *a = k->a;
    if (!a->resets) return;
    for (int64_t b = 0; b < k->n_batch; b++) {
        int64_t at = k->seed * a->reset_seed + (k->first + b) * a->reset_batch + t * a->reset_time;
        int is_reset = a->resets_are_bytes ? ((const uint8_t *)a->resets)[at] != 0 : ((const float *)a->resets)[at] > 0.5f;
        for (int64_t r = 0; is_reset && r < n_rows; r++) rows[r * k->z.stride + b] = 0.0f;
    }
}

/* Bring the state from before step t into ``rows``: those of ``n`` neurons from ``from`` on. */
static void read_state(const task_of_seed *k, float *rows, const float *before, int64_t from, int64_t n, int64_t t) {
    const forward_args *a = k->a;
    int64_t stride = k->z.stride;
    if (a->begins_afresh || (t == 0 && !a->hidden.at)) {
        zero_rows(rows, n, stride, k->lanes);
        return;
    }
    if (t > 0) copy_rows(rows, before + from * stride, n, stride, k->lanes);
    else
        read_rows(rows, stride, a->hidden.at + k->seed * a->hidden.seed + k->first * a->hidden.batch + from,
                  a->hidden.batch, n, k->n_batch, k->lanes);
    forget(k, rows, n, t);
}

static void read_sources(const task_of_seed *k, float *rows, int64_t t) {
    for (int64_t i = 0; i < k->a->n_sources; i++) {
        const input *in = &k->a->source[i];
        read_rows(rows, k->z.stride, in->at + k->seed * in->seed + k->first * in->batch + t * in->time, in->batch, in->width,
                  k->n_batch, k->lanes);
        rows += in->width * k->z.stride;
    }
}

/* Where (S, B, T, width) memory holds the task's first sample at step t. */
static int64_t outside(const task_of_seed *k, int64_t t, int64_t width) {
    return ((k->seed * k->a->n_batch + k->first) * k->a->n_time + t) * width;
}

static step layer_step(const task_of_seed *k, int64_t i, int64_t slot) {
    const forward_args *a = k->a;
    const shape *z = &k->z;
    step x;
    x.y = &a->p->layers[i];
    x.parameters = a->parameters + k->seed * a->p->n_parameters;
    x.mask = a->mask ? a->mask + k->seed * a->p->n_parameters : NULL;
    x.read = k->work + z->read[i] + slot * z->read_step[i];
    x.n_read = n_read_of(a, i);
    x.kept = k->work + z->kept[i] + slot * z->kept_step[i];
    x.state = k->work + z->state + slot * z->state_step + x.y->state_at * z->stride;
    x.elapsed = k->elapsed;
    x.stride = z->stride, x.lanes = k->lanes;
    x.ltc_constants = k->work + z->ltc_constants, x.ltc_rows = k->work + z->ltc_rows, x.ltc_sums = k->work + z->ltc_sums;
    return x;
}

/* --------------------------------------------------------------------------------------------------------- forward */

static void read_out(const task_of_seed *k, float *out, const float *state) {
    const plan *p = k->a->p;
    int64_t stride = k->z.stride, lanes = k->lanes;
    const float *read = state + p->read_at * stride, *parameters = k->a->parameters + k->seed * p->n_parameters;
    if (p->readout == READ_LINEAR)
        product(out, parameters + p->read_weight, p->n_read, 1, read, p->n_out, p->n_read, parameters + p->read_bias, 0,
                stride, lanes);
    else
        for (int64_t j = 0; j < p->n_out; j++) {
            int is_affine = p->readout == READ_AFFINE;
            vf w = v_set(is_affine ? parameters[p->read_weight + j] : 1.0f);
            vf b = v_set(is_affine ? parameters[p->read_bias + j] : 0.0f);
            LOOP(l) v_store(out + j * stride + l, v_fma(w, v_load(read + j * stride + l), b));
        }
    for (int64_t j = 0; p->squash && j < p->n_out; j++)
        LOOP(l) v_store(out + j * stride + l, v_tanh(v_load(out + j * stride + l)));
}

static void layer_forward(const task_of_seed *k, int64_t i, int64_t slot, const float *before, float *now, int64_t t) {
    const plan *p = k->a->p;
    step x = layer_step(k, i, slot);
    int64_t n = x.y->n, n_in = x.y->n_in, stride = k->z.stride, lanes = k->lanes;
    float *read = k->work + k->z.read[i] + slot * k->z.read_step[i];
    if (i == 0 || (i == 1 && p->has_memory)) read_sources(k, read, t);
    else if (read_rows_of(p, i) > 0) copy_rows(read, now + p->layers[i - 1].state_at * stride, n_in, stride, lanes);
    /* With a memory the LSTM reads the old state, and has written it anew for the layers after it. */
    if (has_state(x.y) && (i == 0 || !p->has_memory)) read_state(k, read + n_in * stride, before, x.y->state_at, n, t);
    switch (x.y->kind) {
#define FORWARD_BEFORE(kind, before) case kind: before##_forward(&x, read + n_in * stride); break;
    CHANGES_OF_OLD_STATES(FORWARD_BEFORE)
    }
    switch (x.y->kind) {
#define FORWARD_CASE(kind, function) case kind: function##_forward(&x); break;
    PAIRS_OF_FUNCTIONS(FORWARD_CASE)
    case LTC: ltc_forward(&x); break;
    case LSTM_LAYER: {
        float *old = x.kept + 4 * n * stride;
        read_state(k, old, before, x.y->state_at - n, n, t);
        lstm_forward(&x, old, x.state - n * stride, x.state);
        break;
    }
    case LSTM: {
        float *old = x.kept + 4 * n * stride;
        read_state(k, old, before, n, n, t);
        lstm_forward(&x, old, now + n * stride, now);
        for (int64_t j = 1; j < p->n_layers; j++) {
            const layer *above = &p->layers[j];
            float *own = k->work + k->z.read[j] + slot * k->z.read_step[j] + above->n_in * stride;
            copy_rows(own, now + above->state_at * stride, above->n, stride, lanes);
        }
        break;
    }
    }
}

static void forward(const forward_args *a, int64_t seed, int64_t task) {
    const plan *p = a->p;
    task_of_seed k;
    begin_task(&k, a, seed, task);
    const shape *z = &k.z;
    int64_t H = p->state_size, K = p->n_out, T = a->n_time, of_ltc = p->has_memory ? 1 : 0;
    if (p->layers[of_ltc].kind == LTC) {
        step x = layer_step(&k, of_ltc, 0);
        ltc_prepare(x.y, x.parameters, x.mask, x.ltc_constants);
    }
    for (int64_t t = 0; t < T; t++) {
        int64_t slot = t % z->slots, last = (t + z->slots - 1) % z->slots;
        const float *before = k.work + z->state + last * z->state_step; /* the state after the step before */
        float *now = k.work + z->state + slot * z->state_step, *out = k.work + z->out + slot * z->out_step;
        read_elapsed(&k, t);
        for (int64_t i = 0; i < p->n_layers; i++) layer_forward(&k, i, slot, before, now, t);
        if (a->out || a->keeps) read_out(&k, out, now);
        if (a->out) write_rows(out, z->stride, a->out + outside(&k, t, K), T * K, K, k.n_batch);
        if (a->states) write_rows(now, z->stride, a->states + outside(&k, t, H), T * H, H, k.n_batch);
        if (a->last && t == T - 1)
            write_rows(now, z->stride, a->last + (seed * a->n_batch + k.first) * H, H, H, k.n_batch);
    }
}

/* -------------------------------------------------------------------------------------------------------- backward */

/* Turn the gradient of the output into that of what was read, and add it to the gradient of the state, ``d_now``. The
   rows of the output become its gradient before the squashing. */
static void read_out_backward(const task_of_seed *k, const backward_args *b, float *d_now, float *inner, int64_t t) {
    const plan *p = k->a->p;
    int64_t stride = k->z.stride, lanes = k->lanes, K = p->n_out;
    const float *parameters = k->a->parameters + k->seed * p->n_parameters;
    float *out = k->work + k->z.out + t * k->z.out_step, *d_read = d_now + p->read_at * stride;
    if (!b->d_out) {
        zero_rows(out, K, stride, lanes);
        return;
    }
    read_rows(inner, stride, b->d_out + outside(k, t, K), k->a->n_time * K, K, k->n_batch, lanes);
    for (int64_t j = 0; j < K; j++)
        LOOP(l) {
            vf d = v_load(inner + j * stride + l), y = v_load(out + j * stride + l);
            if (p->squash) d = v_mul(d, v_sub(v_set(1.0f), v_mul(y, y)));
            v_store(out + j * stride + l, d);
        }
    if (p->readout == READ_LINEAR)
        product(d_read, parameters + p->read_weight, 1, p->n_read, out, p->n_read, K, NULL, 1, stride, lanes);
    else
        for (int64_t j = 0; j < K; j++) {
            vf w = v_set(p->readout == READ_AFFINE ? parameters[p->read_weight + j] : 1.0f);
            LOOP(l) {
                float *d = d_read + j * stride + l;
                v_store(d, v_fma(w, v_load(out + j * stride + l), v_load(d)));
            }
        }
}

/* Give the gradient of the sources, ``rows``, to whoever asked; an LSTM adds to what the layer above it gave. */
static void write_source_gradients(const task_of_seed *k, const backward_args *b, const float *rows, int adds, int64_t t) {
    for (int64_t i = 0; i < k->a->n_sources; i++) {
        int64_t width = k->a->source[i].width, each = k->a->n_time * width;
        float *at = b->d_source[i] ? b->d_source[i] + outside(k, t, width) : NULL;
        if (at && !adds) write_rows(rows, k->z.stride, at, each, width, k->n_batch);
        for (int64_t e = 0; at && adds && e < k->n_batch; e++)
            for (int64_t f = 0; f < width; f++) at[e * each + f] += rows[f * k->z.stride + e];
        rows += width * k->z.stride;
    }
}

/* Where the gradients of one step are. */
typedef struct {
    float *now, *before, *inner; /* of the new state, of the old state, of what a layer reads */
    int wants_sources, wants_state;
    int is_fresh; /* the new state's is what the read-out and the layers above give it, and nothing else */
} gradients;

static int is_read_out(const plan *p, int64_t i) {
    const layer *y = &p->layers[i];
    int64_t n = p->readout == READ_LINEAR ? p->n_read : p->n_out;
    return y->state_at < p->read_at + n && p->read_at < y->state_at + y->n;
}

/* Whether the gradient of this layer's new state is written by the layer above it alone, so that it needn't begin as 0. */
static int is_overwritten(const plan *p, int64_t i, const gradients *g) {
    return g->is_fresh && i + 1 < p->n_layers && !is_read_out(p, i);
}

/* The gradient of the last step's new state, before anything has been added to it. */
static void begin_gradient(const task_of_seed *k, const backward_args *b, const gradients *g) {
    const plan *p = k->a->p;
    int64_t stride = k->z.stride, lanes = k->lanes, H = p->state_size;
    if (b->d_last) read_rows(g->now, stride, b->d_last + (k->seed * k->a->n_batch + k->first) * H, H, H, k->n_batch, lanes);
    else if (!g->is_fresh) zero_rows(g->now, H, stride, lanes);
    else
        for (int64_t i = 0, from = 0; i < p->n_layers; i++) {
            const layer *y = &p->layers[i];
            int64_t end = is_overwritten(p, i, g) ? y->state_at : y->state_at + y->n; /* memories lie before the neurons */
            zero_rows(g->now + from * stride, end - from, stride, lanes);
            from = y->state_at + y->n;
        }
}

static void layer_backward(const task_of_seed *k, const backward_args *b, int64_t i, int64_t t, const gradients *g) {
    const plan *p = k->a->p;
    step x = layer_step(k, i, t);
    const layer *y = x.y;
    int64_t n = y->n, n_in = y->n_in, stride = k->z.stride, lanes = k->lanes, first = p->has_memory ? 1 : 0;
    const float *d = g->now + y->state_at * stride;
    /* Where the gradient of the old state goes: with a memory it is that of what the LSTM revealed. */
    float *d_old = g->before + y->state_at * stride;
    int adds = KIND_OF_LAYER[y->kind].has_direct_path, changes_old = KIND_OF_LAYER[y->kind].changes_old;
    switch (y->kind) {
#define BACKWARD_CASE(kind, function) case kind: function##_backward(&x, d, d_old); break;
    PAIRS_OF_FUNCTIONS(BACKWARD_CASE)
    case LTC:
        ltc_backward(&x, d, g->inner);
        copy_rows(d_old, g->inner + n_in * stride, n, stride, lanes);
        break;
    case LSTM_LAYER: lstm_backward(&x, d, g->now + (y->state_at - n) * stride, d_old - n * stride); break;
    case LSTM:
        /* ``before`` holds the gradient of what is revealed; it and the memory's move on to ``now`` and back. */
        lstm_backward(&x, g->before, g->now + n * stride, g->before + n * stride);
        break;
    }
    if (!has_state(y) && g->wants_state) zero_rows(d_old, n, stride, lanes);
    float *below = i > first ? g->now + p->layers[i - 1].state_at * stride : NULL, *d_in = g->inner;
    if (below && is_overwritten(p, i - 1, g) && y->kind != LTC) d_in = below;
    if (y->kind != LTC) {
        const float *w = x.parameters + y->at[0];
        int64_t pitch = has_state(y) ? n_in + n : n_in, heads = head_rows_of(y);
        if (below || g->wants_sources) product(d_in, w, 1, pitch, x.kept, n_in, heads, NULL, 0, stride, lanes);
        if (x.n_read == n_in && changes_old) zero_rows(d_old, n, stride, lanes);
        if (x.n_read > n_in && (g->wants_state || p->has_memory || changes_old))
            product(d_old, w + n_in, 1, pitch, x.kept, n, heads, NULL, adds, stride, lanes);
    }
    switch (y->kind) {
#define BACKWARD_BEFORE(kind, before) case kind: before##_backward(&x, d_old); break;
    CHANGES_OF_OLD_STATES(BACKWARD_BEFORE)
    }
    /* The input is the new state of the layer below. */
    if (below && is_overwritten(p, i - 1, g)) {
        if (d_in != below) copy_rows(below, g->inner, n_in, stride, lanes);
    } else if (below) add_rows(below, g->inner, n_in, stride, lanes);
    else if (g->wants_sources) write_source_gradients(k, b, g->inner, i < first, t);
}

/* Phase 0: backpropagation through time (Werbos 1990), for the lanes of one task. ``now`` is the gradient of the state
   after step t: what reached it from step t + 1, d_states[t], and what is read off it. Each layer turns its part into the
   gradients of its heads, dz = W^T dheads, which go to the layer below and into ``before``, the state after t - 1. At an
   episode's begin nothing goes further back. The gradients of the heads stay where the layers' kept rows were. */
static void backward_in_time(const backward_args *b, int64_t seed, int64_t task) {
    const forward_args *a = &b->f;
    const plan *p = a->p;
    task_of_seed k;
    begin_task(&k, a, seed, task);
    int64_t stride = k.z.stride, lanes = k.lanes, H = p->state_size, T = a->n_time, of_ltc = p->has_memory ? 1 : 0;
    gradients g = {k.work + k.z.back[0], k.work + k.z.back[1], k.work + k.z.inner, b->d_source[0] || b->d_source[1], 1,
                   !b->d_last && !b->d_states && !p->has_memory};
    if (p->layers[of_ltc].kind == LTC) /* the constants are those of the forward call */
        memset(k.work + k.z.ltc_sums, 0, sizeof(float) * VL * ltc_sums_of(&p->layers[of_ltc]));
    begin_gradient(&k, b, &g);
    for (int64_t t = T - 1; t >= 0; t--) {
        read_elapsed(&k, t);
        if (b->d_states) {
            read_rows(g.before, stride, b->d_states + outside(&k, t, H), T * H, H, k.n_batch, lanes);
            add_rows(g.now, g.before, H, stride, lanes);
        }
        read_out_backward(&k, b, g.now, g.inner, t);
        g.wants_state = t > 0 || b->d_hidden;
        if (p->has_memory) zero_rows(g.before, H, stride, lanes);
        for (int64_t i = p->n_layers - 1; i >= 0; i--) layer_backward(&k, b, i, t, &g);
        if (g.wants_state && a->begins_afresh) zero_rows(g.before, H, stride, lanes);
        else if (g.wants_state) forget(&k, g.before, H, t);
        float *other = g.now;
        g.now = g.before, g.before = other, g.is_fresh = 0;
    }
    if (b->d_hidden) write_rows(g.now, stride, b->d_hidden + (seed * a->n_batch + k.first) * H, H, H, k.n_batch);
}

static strided_rows rows_at(const float *at, int64_t step, const shape *z) {
    strided_rows r = {at, step, z->task_size};
    return r;
}

static void gradient_of_layer(const backward_args *b, const shape *z, const extent *e, int64_t seed, int64_t i, int64_t part) {
    const forward_args *a = &b->f;
    const plan *p = a->p;
    const layer *y = &p->layers[i];
    const float *work = a->work + seed * z->tasks * z->task_size;
    float *gradient = b->gradient + seed * p->n_parameters, *dw = gradient + y->at[0];
    const float *mask = a->mask ? a->mask + seed * p->n_parameters : NULL;
    if (y->kind == LTC) {
        if (part == 0)
            ltc_gradient(y, a->parameters + seed * p->n_parameters, mask, rows_at(work + z->ltc_sums, 0, z), z->tasks, gradient);
        return;
    }
    int64_t pitch = has_state(y) ? y->n_in + y->n : y->n_in, quads = (head_rows_of(y) + 3) / 4, n_read = n_read_of(a, i);
    int64_t begin = 4 * (quads * part / GRADIENT_PARTS), end = least(4 * (quads * (part + 1) / GRADIENT_PARTS), head_rows_of(y));
    strided_rows d = rows_at(work + z->kept[i], z->kept_step[i], z), read = rows_at(work + z->read[i], z->read_step[i], z);
    outer_product(dw, pitch, gradient + y->at[1], d, read, e, begin, end, n_read);
    for (int64_t r = begin; r < end; r++)
        for (int64_t c = n_read; c < pitch; c++) dw[r * pitch + c] = 0.0f;
    if (mask)
        for (int64_t c = begin * pitch; c < end * pitch; c++) dw[c] *= mask[y->at[0] + c];
    for (int64_t j = 0; part == 0 && j < KIND_OF_LAYER[y->kind].n_own; j++) {
        strided_rows own = d;
        own.at += (head_rows_of(y) + j * y->n) * z->stride;
        row_sums(gradient + y->at[2 + j], own, e, y->n);
    }
}

/* Phase 1: the gradients of the parameters, dW = sum over steps and samples of dheads z^T, one product for the whole
   sequence; a part computes whole rows, so the sums don't depend on the threads. */
static void backward_of_parameters(const backward_args *b, int64_t seed, int64_t part) {
    const forward_args *a = &b->f;
    const plan *p = a->p;
    shape z = shape_of(p, a->n_batch, a->n_time, 1);
    extent e = {a->n_time, z.tasks, z.stride, padded(a->n_batch) - (z.tasks - 1) * LANES};
    float *gradient = b->gradient + seed * p->n_parameters;
    for (int64_t i = 0; i < p->n_layers; i++) gradient_of_layer(b, &z, &e, seed, i, part);
    if (part != 0 || p->readout == READ_SLICE) return;
    const float *work = a->work + seed * z.tasks * z.task_size;
    strided_rows d = rows_at(work + z.out, z.out_step, &z);
    strided_rows read = rows_at(work + z.state + p->read_at * z.stride, z.state_step, &z);
    if (p->readout == READ_LINEAR) {
        outer_product(gradient + p->read_weight, p->n_read, gradient + p->read_bias, d, read, &e, 0, p->n_out, p->n_read);
        return;
    }
    for (int64_t j = 0; j < p->n_out; j++, d.at += z.stride, read.at += z.stride)
        outer_product(gradient + p->read_weight + j, 1, gradient + p->read_bias + j, d, read, &e, 0, 1, 1);
}

static void backward(const backward_args *a, int64_t phase, int64_t seed, int64_t task) {
    if (phase == 0) backward_in_time(a, seed, task);
    else backward_of_parameters(a, seed, task);
}
