/* The kernels, compiled once for each instruction set by the isa_*.c files, which define KERNEL_SET and NAME. */
#include "native.h"
#include "vector.h"

#include "rows.h"
#include "step.h"
#include "cfc.h"
#include "dense.h"
#include "gated.h"
#include "ltc.h"
#include "unroll.h"
#include "update.h"
#include "soft.h"

#define MEMBER(KIND, call) call,
const kernel_set KERNEL_SET = {NAME, workspace, forward, backward, CALLS_BETWEEN_NETWORKS(MEMBER)};
