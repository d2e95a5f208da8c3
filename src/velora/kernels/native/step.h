/* What the layers share: the memory of one step. */

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
