#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define VELORA_AVX2
#define VL 8
#define KERNEL_SET velora_avx2
#define NAME "avx2"
#include "kernels.c"
#if defined(__clang__)
#pragma clang attribute pop
#endif
