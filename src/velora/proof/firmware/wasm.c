/* WebAssembly: reading, writing and ending are imports, which wasm.mjs has. Nothing is counted. */
#include "freestanding.h"
#include "port.h"

void port_begin(void)
{
}

void port_start_counting(void)
{
}

uint32_t port_counted(void)
{
    return 0;
}

uint32_t port_known_instructions(void)
{
    return 0;
}
