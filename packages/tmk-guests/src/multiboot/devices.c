/* Ports and memory of devices: the serial port, and where there is nothing. */
#include "kernel.h"

#include "../lib/tmk.h"
#include "../lib/x86.h"

#define COM1_DATA 0x3f8
#define COM1_SCRATCH 0x3ff
#define EMPTY_PORT 0x5658
#define POST_CODE 0x80
#define EMPTY_ADDRESS 0xd0000000ul

static uint32_t in32(uint16_t port)
{
    uint32_t value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

void test_devices(void)
{
    out8(COM1_SCRATCH, 0xa5);
    ASSERT_EQ(in8(COM1_SCRATCH), 0xa5);
    ASSERT_EQ(in8(EMPTY_PORT), 0xff);
    ASSERT_EQ(in32(EMPTY_PORT), 0xffffffff);
    out8(POST_CODE, 1);
    ASSERT_EQ(mmio_read32(EMPTY_ADDRESS), 0xffffffff);
    mmio_write32(EMPTY_ADDRESS, 0);
    static const char line[] = "devices: a line by REP OUTSB\n";
    const char *at = line;
    uint64_t count = sizeof(line) - 1;
    asm volatile("cld\n\trep outsb" : "+S"(at), "+c"(count) : "d"(COM1_DATA) : "memory");
    ASSERT_EQ(count, 0);
}
