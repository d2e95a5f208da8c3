/* What the parts of the native kernel share: the networks it knows and the calls it can make.

   Arrays that come from outside are batch-major, (S, B, T, features), with strides in floats. Inside, arrays are
   feature-major: one row of LANES floats per feature, each lane a sample (the padding zero or harmless), so that one
   vector instruction serves many samples, whatever the sizes of the layers. */
#ifndef VELORA_NATIVE_H
#define VELORA_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define MAX_INPUTS 2
#define LANES 64      /* samples that one task advances together */
#define PAD 16        /* rows are padded to a multiple of this many samples */
#define GRADIENT_PARTS 4
#define TILE_ROWS 6   /* rows of a product that are summed at a time */

enum readout { READ_SLICE, READ_AFFINE, READ_LINEAR };

/* Where in a seed's parameters a layer finds its own, and where in the state its neurons are: those of an LSTM_LAYER right
   after their memories. */
typedef struct {
    int64_t kind, n_in, n, state_at, unfolds;
    int64_t at[MOST_TENSORS]; /* in the order of the kind's tensors in velora/kernels/layers.py */
} layer;

typedef struct {
    int64_t n_parameters, n_layers, n_inputs, state_size, has_memory; /* has_memory: layer 0 is an LSTM before the rest */
    int64_t readout, read_at, n_read, n_out, read_weight, read_bias, squash;
    layer layers[MAX_LAYERS];
} plan;

typedef struct {
    const plan *p;
    const float *parameters;
    int64_t n_seeds, n_batch, n_time, keeps;
    int64_t begins_afresh; /* every step starts from a state of zeros, whatever ``hidden`` and ``resets`` say */
    int64_t n_sources;
    input source[MAX_INPUTS], hidden, dt;
    const void *resets;
    int64_t reset_seed, reset_batch, reset_time, resets_are_bytes;
    const float *mask;     /* (S, P); only an LTC asks which synapses exist */
    float *work;           /* (S, workspace size) */
    float *out, *states, *last; /* (S, B, T, K), (S, B, T, H), (S, B, H); any may be NULL */
} forward_args;

typedef struct {
    forward_args f; /* of the forward call; its workspace holds what it kept */
    const float *d_out, *d_states, *d_last; /* any may be NULL */
    float *gradient;                        /* (S, P) or NULL */
    float *d_source[MAX_INPUTS], *d_hidden; /* (S, B, T, width), (S, B, H); any may be NULL */
} backward_args;

/* One set of kernels, compiled for one instruction set. A call is done in phases, one after another; the tasks of a
   phase are independent, so that any number of threads gives the same bits. */
typedef struct {
    const char *name;
    int64_t (*workspace)(const plan *p, int64_t n_batch, int64_t n_time, int64_t keeps);
    void (*forward)(const forward_args *a, int64_t seed, int64_t task);
    void (*backward)(const backward_args *a, int64_t phase, int64_t seed, int64_t task);
#define DECLARE(KIND, call) void (*call)(const call##_args *a, int64_t seed);
    CALLS_BETWEEN_NETWORKS(DECLARE)
#undef DECLARE
} kernel_set;

extern const kernel_set velora_plain, velora_vector, velora_avx2, velora_avx512;

#endif
