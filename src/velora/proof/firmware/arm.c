/* Cortex-M: start-up, semihosting, and SysTick as the counter of time. */
#include "freestanding.h"
#include "port.h"
#include "semihosting.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010UL)
#define SYSTICK_RELOAD REGISTER(0xE000E014UL)
#define SYSTICK_VALUE REGISTER(0xE000E018UL)
#define COPROCESSORS REGISTER(0xE000ED88UL)
#define LONGEST 0xFFFFFFUL /* it counts down 24 bits */

int main(void);
extern unsigned char stack_top[];

static void reset(void)
{
#ifdef __ARM_FP
    COPROCESSORS |= 0xF00000UL; /* the unit for floats is off after a reset */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    prepare_memory();
    port_end(main());
}

/* Whatever goes wrong ends the emulator, so that the host sees it. */
static void fault(void)
{
    port_end(1);
}

/* The core begins with the first word as its stack pointer, and goes where the second one points. */
__attribute__((section(".vectors"), used)) static const struct {
    unsigned char *stack;
    void (*handlers[15])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};

uintptr_t semihosting_call(uintptr_t operation, const void *block)
{
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void port_begin(void)
{
    SYSTICK_RELOAD = LONGEST;
    SYSTICK_CONTROL = 5; /* on, by the clock of the core */
    open_consoles();
}

void port_end(int code)
{
    semihosting_call(SYS_EXIT, (const void *)(code == 0 ? 0x20026UL : 0x20024UL)); /* "the application ended", or not */
    for (;;) {
    }
}

static uint32_t started;

void port_start_counting(void)
{
    started = SYSTICK_VALUE;
}

uint32_t port_counted(void)
{
    return (started - SYSTICK_VALUE) & LONGEST;
}

uint32_t port_known_instructions(void)
{
    uint32_t n = 500000UL;
    __asm__ volatile(".syntax unified\n1:\tsubs %0, #1\n\tbne 1b" : "+l"(n) : : "cc");
    return 1000000UL;
}
