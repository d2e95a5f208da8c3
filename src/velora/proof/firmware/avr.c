/* ATmega328P, in the simulator of simavr.c: a call is an address in two registers, and then a write to a third. */
#include "port.h"

#include "avr_calls.h"

#define REGISTER(address) (*(volatile uint8_t *)(address))

static volatile struct call call;

static void ask(uint8_t operation)
{
    REGISTER(AVR_LOW) = (uint8_t)(uintptr_t)&call;
    REGISTER(AVR_HIGH) = (uint8_t)((uintptr_t)&call >> 8);
    REGISTER(AVR_CALL) = operation;
}

void port_begin(void)
{
}

int port_read(void *to, unsigned n)
{
    call.address = (uint16_t)(uintptr_t)to;
    call.size = (uint16_t)n;
    ask(CALL_READ);
    return call.value != 0;
}

void port_write(const void *from, unsigned n)
{
    call.address = (uint16_t)(uintptr_t)from;
    call.size = (uint16_t)n;
    ask(CALL_WRITE);
}

void port_end(int code)
{
    call.value = (uint32_t)code;
    ask(CALL_END);
    for (;;) {
    }
}

void port_start_counting(void)
{
    REGISTER(AVR_CALL) = CALL_START;
}

uint32_t port_counted(void)
{
    ask(CALL_COUNTED);
    return call.value;
}

uint32_t port_known_instructions(void)
{
    return 0;
}
