/* What the firmware on an ATmega328P and its simulator agree on. */
#ifndef AVR_CALLS_H
#define AVR_CALLS_H

#include <stdint.h>

/* GPIOR1, GPIOR2 and GPIOR0: registers that a program may use as it likes, as addresses in data memory. */
enum { AVR_LOW = 0x4A, AVR_HIGH = 0x4B, AVR_CALL = 0x3E };

enum { CALL_READ = 1, CALL_WRITE = 2, CALL_END = 3, CALL_START = 4, CALL_COUNTED = 5 };

/* Its members are as far apart on both sides: nothing is in between. */
struct call {
    uint16_t address, size;
    uint32_t value;
};

#endif
