/* What gcc may call although there is no C library: copies and fills. Compiled with -fno-tree-loop-distribute-patterns,
 * or gcc would make each a call of itself. */
#ifndef FREESTANDING_H
#define FREESTANDING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

void *memcpy(void *to, const void *from, size_t n)
{
    unsigned char *at = to;
    const unsigned char *source = from;
    while (n-- > 0) {
        *at++ = *source++;
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *at = to;
    while (n-- > 0) {
        *at++ = (unsigned char)value;
    }
    return to;
}

#ifndef __wasm__
/* Bring memory into the state that C expects: variables with a value copied from flash, the others zero. */
extern unsigned char data_in_flash[], data_begin[], data_end[], bss_begin[], bss_end[];

static void prepare_memory(void)
{
    memcpy(data_begin, data_in_flash, (size_t)(data_end - data_begin));
    memset(bss_begin, 0, (size_t)(bss_end - bss_begin));
}
#endif

#endif
