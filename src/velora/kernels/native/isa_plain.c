/* Loops that any C compiler understands. */
#define VELORA_PLAIN
#define KERNEL_SET velora_plain
#define NAME "plain"
#include "kernels.c"
