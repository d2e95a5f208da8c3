/* Frames through semihosting: the emulator's standard input and output are the firmware's.
 *
 * On a real chip without a debugger such a call stops for ever. It is in the proof's firmware only, never in what
 * velora export writes. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };

/* The one thing that differs between processors: the instruction that calls. */
uintptr_t semihosting_call(uintptr_t operation, const void *block);

static uintptr_t input_handle, output_handle;

static uintptr_t open_console(uintptr_t mode)
{
    uintptr_t block[3];
    block[0] = (uintptr_t) ":tt";
    block[1] = mode;
    block[2] = 3;
    return semihosting_call(SYS_OPEN, block);
}

static void open_consoles(void)
{
    input_handle = open_console(1);  /* "rb" */
    output_handle = open_console(5); /* "wb" */
}

int port_read(void *to, unsigned n)
{
    unsigned char *at = to;
    while (n > 0) {
        uintptr_t block[3], left;
        block[0] = input_handle;
        block[1] = (uintptr_t)at;
        block[2] = n;
        left = semihosting_call(SYS_READ, block); /* how many bytes are missing */
        if (left >= n) {
            return 0;
        }
        at += n - left;
        n = (unsigned)left;
    }
    return 1;
}

void port_write(const void *from, unsigned n)
{
    uintptr_t block[3];
    block[0] = output_handle;
    block[1] = (uintptr_t)from;
    block[2] = n;
    semihosting_call(SYS_WRITE, block);
}

#endif
