#include "hostile.h"

#include "../lib/x86.h"

#define MEBIBYTE (1ul << 20)

void send_raw(uint64_t physical_address)
{
    mmio_write64(COMMAND_ADDRESS, physical_address);
}

uint64_t ram_end(void)
{
    uint64_t end = 4 * MEBIBYTE;
    while (mmio_read32(end) != UINT32_MAX)
        end += MEBIBYTE;
    return end;
}

uint64_t garbage(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
