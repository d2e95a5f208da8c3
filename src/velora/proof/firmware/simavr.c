/* The simulator of an ATmega328P for the proof: standard input and output become calls of its firmware.
 *
 *     simavr-proof firmware.elf
 *
 * It is linked with libsimavr, which writes to standard output itself: that goes to standard error here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#include "avr_calls.h"

enum { CHIP_MEMORY = 0x900, CHIP_HZ = 16000000 };

static FILE *input, *output;
static avr_cycle_count_t started;

/* Return the call block whose address is in the two registers, or stop: a program that has gone astray wrote them. */
static unsigned char *block_of(avr_t *avr)
{
    unsigned at = avr->data[AVR_LOW] | (unsigned)avr->data[AVR_HIGH] << 8;
    if (at + sizeof(struct call) > CHIP_MEMORY) {
        fprintf(stderr, "simavr-proof: a call from an address out of memory, 0x%x\n", at);
        exit(3);
    }
    return avr->data + at;
}

static void on_call(struct avr_t *avr, avr_io_addr_t address, uint8_t operation, void *unused)
{
    unsigned char *block;
    struct call call;
    (void)unused;
    avr->data[address] = operation;
    if (operation == CALL_START) {
        started = avr->cycle;
        return;
    }
    block = block_of(avr);
    memcpy(&call, block, sizeof call);
    if (operation <= CALL_WRITE && (unsigned)call.address + call.size > CHIP_MEMORY) {
        fprintf(stderr, "simavr-proof: a frame out of memory, at 0x%x\n", call.address);
        exit(3);
    }
    switch (operation) {
    case CALL_READ:
        call.value = fread(avr->data + call.address, 1, call.size, input) == call.size;
        break;
    case CALL_WRITE:
        fwrite(avr->data + call.address, 1, call.size, output);
        fflush(output);
        break;
    case CALL_COUNTED:
        call.value = (uint32_t)(avr->cycle - started);
        break;
    default:
        exit(operation == CALL_END ? (int)call.value : 3);
    }
    memcpy(block, &call, sizeof call);
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    avr_t *avr;
    int state = cpu_Running;
    input = stdin;
    output = fdopen(dup(STDOUT_FILENO), "wb");
    dup2(STDERR_FILENO, STDOUT_FILENO);
    memset(&firmware, 0, sizeof firmware);
    if (argc != 2 || output == NULL || elf_read_firmware(argv[1], &firmware) != 0) {
        fprintf(stderr, "simavr-proof: expected the firmware's file as the one argument\n");
        return 2;
    }
    avr = avr_make_mcu_by_name("atmega328p");
    if (avr == NULL || avr_init(avr) != 0) {
        fprintf(stderr, "simavr-proof: this libsimavr knows no atmega328p\n");
        return 2;
    }
    avr->log = LOG_ERROR;
    avr->frequency = CHIP_HZ;
    avr_load_firmware(avr, &firmware);
    avr_register_io_write(avr, AVR_CALL, on_call, NULL);
    while (state != cpu_Done && state != cpu_Crashed) {
        state = avr_run(avr);
    }
    return 1;
}
