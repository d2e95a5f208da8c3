/* Written by velora export; see policy.h. */
#include "policy.h"

#include <float.h>
#include <stdint.h>

#if FLT_RADIX != 2 || FLT_MANT_DIG != 24 || FLT_MAX_EXP != 128
#error "this policy needs float to be the binary32 of IEEE 754"
#endif

#ifdef __AVR__ /* constants stay in flash */
#include <avr/pgmspace.h>
#define TABLE PROGMEM
#define NUMBER(place) pgm_read_float(place)
#define SOURCE(place) pgm_read_@READ_SOURCE@(place)
#define LONG(place) pgm_read_dword(place)
#else
#define TABLE
#define NUMBER(place) (*(place))
#define SOURCE(place) (*(place))
#define LONG(place) (*(place))
#endif

#if defined(__AVR__) || defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define SLOW_DIVISION
#endif
#if defined(__AVR__) || defined(__SOFTFP__) || defined(__riscv_float_abi_soft)
#define SLOW_FLOATS
#endif

/* A synapse's source: the place of what a neuron reads. */
typedef @SOURCE@ source;

/* ---------------------------------------------------------------------------------------------------- numbers */
/* Of each layer, neuron by neuron: biases, then the weights of each synapse, of all heads together. */

@TABLES@
/* ------------------------------------------------------------------------------------------------- arithmetic */

@ARITHMETIC@/* ----------------------------------------------------------------------------------------------------- layers */

@LAYERS@
/* ----------------------------------------------------------------------------------------------------- policy */

@STEP@
