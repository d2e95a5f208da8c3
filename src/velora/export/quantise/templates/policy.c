/* Written by velora export; see policy.h. */
#include "policy.h"

#include <float.h>

#if FLT_RADIX != 2 || FLT_MANT_DIG != 24 || FLT_MAX_EXP != 128
#error "this policy needs float to be the binary32 of IEEE 754"
#endif

#ifdef __AVR__ /* constants stay in flash */
#include <avr/pgmspace.h>
#define TABLE PROGMEM
#define FLOAT(place) pgm_read_float(place)
#define LONG(place) ((int32_t)pgm_read_dword(place))
#define WORD(place) pgm_read_word(place)
#define NUMBER(place) @READNUMBER@
#define WEIGHT(place) @READWEIGHT@
#define SOURCE(place) @READSOURCE@
#else
#define TABLE
#define FLOAT(place) (*(place))
#define LONG(place) (*(place))
#define WORD(place) (*(place))
#define NUMBER(place) ((int32_t)*(place))
#define WEIGHT(place) (*(place))
#define SOURCE(place) (*(place))
#endif

#if defined(__GNUC__) && !defined(__clang__) /* the inner loops, which -Os would make slower by a third */
#define FAST __attribute__((noinline, optimize("O2")))
#else
#define FAST
#endif

@ADDPRODUCT@
typedef @WEIGHT@ weight; /* of a synapse */
typedef @NUMBER@ number; /* biases, and what sums are multiplied with */
typedef @SOURCE@ source; /* the place of what a neuron reads */

/* How far the numbers of a policy were read. */
typedef struct {
    const weight *weights;
    const number *numbers;
@FROM@} walk;

/* A number of 32 bits, as a float and as its bits. */
typedef union {
    float number;
    uint32_t bits;
} both;

/* ---------------------------------------------------------------------------------------------------- numbers */

@TABLES@
/* ------------------------------------------------------------------------------------------------- arithmetic */

@ARITHMETIC@/* ----------------------------------------------------------------------------------------------------- layers */

@LAYERS@
/* ----------------------------------------------------------------------------------------------------- policy */

@STEP@
