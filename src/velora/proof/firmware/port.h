/* What a machine has to offer to the proof's firmware. One file of this directory implements it for each kind of
 * machine: host.c, arm.c, riscv.c, avr.c, wasm.c. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* Begin: switch on the counter of time, and open what bytes come from and go to. */
void port_begin(void);

/* Read exactly n bytes; return 0 where there are none any more. */
int port_read(void *to, unsigned n);

/* Write n bytes. */
void port_write(const void *from, unsigned n);

/* End the program, and the emulator with it. */
void port_end(int code);

/* Begin to count time, and return what has passed since, in ticks of the machine's own. */
void port_start_counting(void);
uint32_t port_counted(void);

/* Run a known number of instructions, and return it; 0 where ticks are what is reported. It tells the host how many
 * instructions a tick is. */
uint32_t port_known_instructions(void);

/* The stack below here may be painted: PORT_STACK_POINTER() is an expression, PORT_PAINTED a number of bytes. It is 0
 * where the stack can't be looked at. */
#if defined(__arm__)
#define PORT_STACK_POINTER(to) __asm__ volatile("mov %0, sp" : "=r"(to))
#define PORT_PAINTED 4096U
#elif defined(__riscv)
#define PORT_STACK_POINTER(to) __asm__ volatile("mv %0, sp" : "=r"(to))
#define PORT_PAINTED 4096U
#elif defined(__AVR__)
#define PORT_STACK_POINTER(to) ((to) = (unsigned char *)(uintptr_t) * (volatile uint16_t *)0x5D)
#define PORT_PAINTED 640U
#else
#define PORT_STACK_POINTER(to) ((to) = 0)
#define PORT_PAINTED 0U
#endif

#endif
