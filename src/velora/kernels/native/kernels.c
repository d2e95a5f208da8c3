/* The kernels, compiled once for each instruction set by the isa_*.c files, which define KERNEL_SET and NAME. */
#include "native.h"
#include "vector.h"

#include "rows.h"
#include "cells.h"
#include "ltc.h"
#include "unroll.h"
#include "update.h"
#include "soft.h"

const kernel_set KERNEL_SET = {
    NAME, workspace, forward, backward, adam, clip, follow, target, squared_error, mean, minimum, perturb, before,
    squash, squash_backward, soft_minimum, soft_minimum_backward, temperature, copy, gather,
};
