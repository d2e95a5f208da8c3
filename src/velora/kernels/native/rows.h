/* Rows of lanes: one row of ``lanes`` floats per feature, ``stride`` floats apart, each lane a sample of the batch.
   ``lanes`` is a multiple of PAD; what a padding lane holds is harmless. */

#define LOOP(l) for (int64_t l = 0; l < lanes; l += VL)

static int64_t padded(int64_t n_batch) { return (n_batch + PAD - 1) / PAD * PAD; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ------------------------------------------------------------------------------------------------------ products */

/* c[m] (+)= bias[m] + sum over k of w[m * wm + k * wk] * z[k] for so many rows and vectors of lanes, which are constants
   wherever this is inlined, so that the sums stay in registers. */
INLINE void tile(const int n_rows, const int n_vectors, float *c, const float *w, int64_t wm, int64_t wk, const float *z,
                 int64_t n_inner, const float *bias, int adds, int64_t stride) {
    vf sums[TILE_ROWS][2];
    for (int r = 0; r < n_rows; r++)
        for (int v = 0; v < n_vectors; v++)
            sums[r][v] = bias ? v_set(bias[r]) : adds ? v_load(c + r * stride + v * VL) : v_zero();
    for (int64_t k = 0; k < n_inner; k++, z += stride, w += wk) {
        vf x[2];
        for (int v = 0; v < n_vectors; v++) x[v] = v_load(z + v * VL);
        for (int r = 0; r < n_rows; r++) {
            vf weight = v_set(w[r * wm]);
            for (int v = 0; v < n_vectors; v++) sums[r][v] = v_fma(weight, x[v], sums[r][v]);
        }
    }
    for (int r = 0; r < n_rows; r++)
        for (int v = 0; v < n_vectors; v++) v_store(c + r * stride + v * VL, sums[r][v]);
}

/* c[m] (+)= bias[m] + sum over k of w[m * wm + k * wk] * z[k], for rows m and all lanes. */
static void product(float *c, const float *w, int64_t wm, int64_t wk, const float *z, int64_t n_rows, int64_t n_inner,
                    const float *bias, int adds, int64_t stride, int64_t lanes) {
    int64_t l = 0;
#define TILES(rows, vectors)                                                                                     \
    for (; m + rows <= n_rows; m += rows)                                                                        \
    tile(rows, vectors, c + m * stride + l, w + m * wm, wm, wk, z + l, n_inner, bias ? bias + m : 0, adds, stride)
    for (; l + 2 * VL <= lanes; l += 2 * VL) {
        int64_t m = 0;
        TILES(TILE_ROWS, 2);
        TILES(4, 2);
        TILES(1, 2);
    }
    for (; l < lanes; l += VL) {
        int64_t m = 0;
        TILES(4, 1);
        TILES(1, 1);
    }
#undef TILES
}

/* Where rows of many steps and tasks lie: step t, task k at ``at + t * step + k * task``. */
typedef struct {
    const float *at;
    int64_t step, task;
} strided_rows;

typedef struct {
    int64_t n_steps, n_tasks, stride, last_lanes; /* lanes of the last task; the others have ``stride`` */
} extent;

static int64_t lanes_of(const extent *e, int64_t task) { return task + 1 < e->n_tasks ? e->stride : e->last_lanes; }

/* Rows and columns of dw that are summed at a time: as many as the registers hold. */
#define BLOCK_ROWS 4
#if VL == 16
#define BLOCK_COLUMNS 4
#else
#define BLOCK_COLUMNS 2
#endif

/* One block of an outer product, of so many rows and columns. Missing ones repeat the last, and their sums are left. */
INLINE void outer_block(float *dw, int64_t pitch, strided_rows d, strided_rows z, const extent *e, int64_t rows,
                        int64_t columns) {
    vf sums[BLOCK_ROWS * BLOCK_COLUMNS];
    int64_t stride = e->stride, row[BLOCK_ROWS], column[BLOCK_COLUMNS];
    for (int i = 0; i < BLOCK_ROWS * BLOCK_COLUMNS; i++) sums[i] = v_zero();
    for (int r = 0; r < BLOCK_ROWS; r++) row[r] = least(r, rows - 1) * stride;
    for (int c = 0; c < BLOCK_COLUMNS; c++) column[c] = least(c, columns - 1) * stride;
    for (int64_t t = 0; t < e->n_steps; t++)
        for (int64_t k = 0; k < e->n_tasks; k++) {
            const float *own = d.at + t * d.step + k * d.task, *read = z.at + t * z.step + k * z.task;
            int64_t lanes = lanes_of(e, k);
            LOOP(l) {
                vf x[BLOCK_COLUMNS];
                for (int c = 0; c < BLOCK_COLUMNS; c++) x[c] = v_load(read + column[c] + l);
                for (int r = 0; r < BLOCK_ROWS; r++) {
                    vf y = v_load(own + row[r] + l), *into = sums + r * BLOCK_COLUMNS;
                    for (int c = 0; c < BLOCK_COLUMNS; c++) into[c] = v_fma(y, x[c], into[c]);
                }
            }
        }
    float all[BLOCK_ROWS * BLOCK_COLUMNS];
#if VL == 16
    v_store(all, v_sums16(sums));
#else
    v_sums8(sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7], all);
#endif
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) dw[r * pitch + c] = all[r * BLOCK_COLUMNS + c];
}

static strided_rows further(strided_rows rows, int64_t floats) {
    rows.at += floats;
    return rows;
}

/* dw[o][i] = sum over steps, tasks and lanes of d[o] * z[i], for the rows [first, end) of dw, which are ``pitch`` floats
   apart; db[o] the same with z = 1. */
static void outer_product(float *dw, int64_t pitch, float *db, strided_rows d, strided_rows z, const extent *e,
                          int64_t first, int64_t end, int64_t n_in) {
    int64_t stride = e->stride;
    for (int64_t o = first; o < end; o += BLOCK_ROWS) {
        int64_t rows = least(BLOCK_ROWS, end - o);
        for (int64_t i = 0; i < n_in; i += BLOCK_COLUMNS)
            outer_block(dw + o * pitch + i, pitch, further(d, o * stride), further(z, i * stride), e, rows,
                        least(BLOCK_COLUMNS, n_in - i));
        if (!db) continue;
        vf a[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        for (int64_t t = 0; t < e->n_steps; t++)
            for (int64_t k = 0; k < e->n_tasks; k++) {
                int64_t lanes = lanes_of(e, k);
                for (int64_t r = 0; r < rows; r++)
                    LOOP(l) a[r] = v_add(a[r], v_load(d.at + t * d.step + k * d.task + (o + r) * stride + l));
            }
        float sums[8];
        v_sums8(a[0], a[1], a[2], a[3], a[0], a[1], a[2], a[3], sums);
        for (int64_t r = 0; r < rows; r++) db[o + r] = sums[r];
    }
}

/* sums[r] = sum over steps, tasks and lanes of rows[r]. */
static void row_sums(float *sums, strided_rows rows, const extent *e, int64_t n_rows) {
    for (int64_t r = 0; r < n_rows; r++) {
        vf a = v_zero();
        for (int64_t t = 0; t < e->n_steps; t++)
            for (int64_t k = 0; k < e->n_tasks; k++) {
                int64_t lanes = lanes_of(e, k);
                LOOP(l) a = v_add(a, v_load(rows.at + t * rows.step + k * rows.task + r * e->stride + l));
            }
        float all[8];
        v_sums8(a, a, a, a, a, a, a, a, all);
        sums[r] = all[0];
    }
}

/* ---------------------------------------------------------------------------------------------------- moving data */

/* Turn ``n_batch`` samples, ``batch_step`` floats apart, into rows; padding lanes become zero. */
static void read_rows(float *rows, int64_t stride, const float *at, int64_t batch_step, int64_t width, int64_t n_batch,
                      int64_t lanes) {
    for (int64_t b = 0; b < n_batch; b++) {
        const float *x = at + b * batch_step;
        for (int64_t f = 0; f < width; f++) rows[f * stride + b] = x[f];
    }
    for (int64_t f = 0; f < width; f++)
        for (int64_t b = n_batch; b < lanes; b++) rows[f * stride + b] = 0.0f;
}

static void write_rows(const float *rows, int64_t stride, float *at, int64_t batch_step, int64_t width, int64_t n_batch) {
    for (int64_t b = 0; b < n_batch; b++) {
        float *x = at + b * batch_step;
        for (int64_t f = 0; f < width; f++) x[f] = rows[f * stride + b];
    }
}

static void copy_rows(float *into, const float *rows, int64_t n_rows, int64_t stride, int64_t lanes) {
    for (int64_t r = 0; r < n_rows; r++) LOOP(l) v_store(into + r * stride + l, v_load(rows + r * stride + l));
}

static void add_rows(float *into, const float *rows, int64_t n_rows, int64_t stride, int64_t lanes) {
    for (int64_t r = 0; r < n_rows; r++)
        LOOP(l) v_store(into + r * stride + l, v_add(v_load(into + r * stride + l), v_load(rows + r * stride + l)));
}

static void zero_rows(float *rows, int64_t n_rows, int64_t stride, int64_t lanes) {
    for (int64_t r = 0; r < n_rows; r++) LOOP(l) v_store(rows + r * stride + l, v_zero());
}
