#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma,prefer-vector-width=512")
#endif
#define VELORA_AVX512
#define VL 16
#define KERNEL_SET velora_avx512
#define NAME "avx512"
#include "kernels.c"
#if defined(__clang__)
#pragma clang attribute pop
#endif
