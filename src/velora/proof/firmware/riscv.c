/* RISC-V with 32 bits, in QEMU's machine "virt": start-up, semihosting, and the counter of instructions. */
#include "freestanding.h"
#include "port.h"
#include "semihosting.h"

int main(void);
void reset(void);

/* The first instruction: a stack, and the unit for floats on, where there is one. */
__asm__(".section .start, \"ax\"\n"
        ".globl start\n"
        "start:\n\t"
        "la sp, stack_top\n\t"
#ifdef __riscv_flen
        "li t0, 0x2000\n\t"
        "csrs mstatus, t0\n\t"
#endif
        "j reset\n"
        ".text\n");

__attribute__((used)) void reset(void)
{
    prepare_memory();
    port_end(main());
}

/* Three instructions that no compiler writes, none of them compressed: the emulator knows the call by them. */
__attribute__((noinline)) uintptr_t semihosting_call(uintptr_t operation, const void *block)
{
    register uintptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = block;
    __asm__ volatile(".balign 16\n\t"
                     ".option push\n\t"
                     ".option norvc\n\t"
                     "slli zero, zero, 0x1f\n\t"
                     "ebreak\n\t"
                     "srai zero, zero, 7\n\t"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

void port_begin(void)
{
    open_consoles();
}

void port_end(int code)
{
    uintptr_t block[2];
    block[0] = code == 0 ? 0x20026UL : 0x20024UL;
    block[1] = (uintptr_t)code;
    semihosting_call(SYS_EXIT, (const void *)block[0]);
    for (;;) {
    }
}

static uint32_t started;

static uint32_t instructions(void)
{
    uint32_t value;
    __asm__ volatile("csrr %0, minstret" : "=r"(value));
    return value;
}

void port_start_counting(void)
{
    started = instructions();
}

uint32_t port_counted(void)
{
    return instructions() - started;
}

uint32_t port_known_instructions(void)
{
    uint32_t n = 500000UL;
    __asm__ volatile("1:\taddi %0, %0, -1\n\tbnez %0, 1b" : "+r"(n));
    return 1000000UL;
}
