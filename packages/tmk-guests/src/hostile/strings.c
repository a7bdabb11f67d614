/* String instructions where there is no RAM: every element is an exit. */
#include "../lib/x86.h"
#include "hostile.h"

static uint64_t source[64];

static void copy_quads(uint64_t to, uint64_t from, uint64_t count)
{
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

TMK_TEST(hostile, rep_movs_into_mmio)
{
    copy_quads(UNCLAIMED_ADDRESS, (uint64_t)source, 64);
    copy_quads((uint64_t)source, UNCLAIMED_ADDRESS, 64);
    ASSERT_EQ(source[63], ~0ul);
    copy_quads(UNCLAIMED_ADDRESS, UNCLAIMED_ADDRESS + 64, 64);
    tmk_log("alive after MOVS from, to and within MMIO");
}

TMK_TEST(hostile, rep_movs_over_apic_page)
{
    for (unsigned i = 0; i < 64; i++)
        source[i] = garbage();
    copy_quads(0xfee00010, (uint64_t)source, 64);
    copy_quads((uint64_t)source, 0xfee00000, 64);
    tmk_log("alive after MOVS over the APIC page");
}

/* Each quad that lands on the command address is a command: none is one. */
TMK_TEST(hostile, rep_movs_over_command_address)
{
    for (unsigned i = 0; i < 64; i++)
        source[i] = UNCLAIMED_ADDRESS + i;
    copy_quads(COMMAND_ADDRESS - 128, (uint64_t)source, 32);
    tmk_log("alive after MOVS over the command address");
}

/* One access half in RAM and half not. */
TMK_TEST(hostile, access_across_ram_end)
{
    uint64_t end = ram_end();
    volatile uint64_t *across = (volatile uint64_t *)(end - 4);
    *across = 0x1122334455667788;
    tmk_log("low half 0x%x", *(volatile uint32_t *)(end - 4));
    (void)*across;
}
