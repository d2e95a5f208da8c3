/* The compiler's own vectors, for the instructions that every machine of the target has (SSE2, NEON). */
#define KERNEL_SET velora_vector
#define NAME "vector"
#include "kernels.c"
