/* Page tables that lead nowhere, or to themselves. SDM volume 3, chapter 4. */
#include "../lib/interrupts.h"
#include "../lib/x86.h"
#include "hostile.h"

#define PRESENT_WRITABLE 3ul
#define LARGE_PAGE (1ul << 7)
#define VECTOR_PF 14
#define ENTRIES 512

static uint64_t top[ENTRIES] __attribute__((aligned(4096)));
static uint64_t lower[ENTRIES] __attribute__((aligned(4096)));

static uint64_t *current_top(void)
{
    uint64_t cr3;
    asm volatile("movq %%cr3, %0" : "=r"(cr3));
    return (uint64_t *)(cr3 & ~0xffful);
}

static void load_cr3(uint64_t value)
{
    asm volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static struct fault try_read(uint64_t address, uint64_t *value)
{
    fault_clear();
    asm volatile("1: movq (%1), %0\n2:" FAULT_FIXUP("1b", "2b") : "+r"(*value) : "r"(address) : "memory");
    return fault_last();
}

/* Our own top table, one entry of it changed. */
static void use_top_with(unsigned index, uint64_t entry)
{
    uint64_t *current = current_top();
    for (unsigned i = 0; i < ENTRIES; i++)
        top[i] = current[i];
    top[index] = entry;
    load_cr3((uint64_t)top);
}

/* Entry 510 is the table itself: at four depths its own walk reads the table, as the classic self-map does. */
TMK_TEST(hostile, page_tables_self_map)
{
    uint64_t value = 0;
    use_top_with(510, (uint64_t)top | PRESENT_WRITABLE);
    uint64_t four_times = 0xffff000000000000ul | 510ul << 39 | 510ul << 30 | 510ul << 21 | 510ul << 12;
    ASSERT(!try_read(four_times, &value).taken);
    ASSERT_EQ(value & ~0x60ul, top[0] & ~0x60ul); /* accessed and dirty aside */
    tmk_log("read its page tables through themselves");
}

/* Every entry of the table is the table: the next instruction is fetched from it. */
HOSTILE_FAULT(page_tables_loop)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        top[i] = (uint64_t)top | PRESENT_WRITABLE;
    load_cr3((uint64_t)top);
}

/* The walk cannot be completed by an emulator either: the host ends the VP. */
HOSTILE_FAULT(page_tables_outside_ram)
{
    uint64_t value = 0;
    use_top_with(1, UNCLAIMED_ADDRESS | PRESENT_WRITABLE);
    try_read(1ul << 39, &value);
}

HOSTILE_FAULT(page_tables_in_apic_page)
{
    uint64_t value = 0;
    use_top_with(1, 0xfee00000ul | PRESENT_WRITABLE);
    try_read(1ul << 39, &value);
}

HOSTILE_FAULT(cr3_outside_ram)
{
    load_cr3(UNCLAIMED_ADDRESS);
}

HOSTILE_FAULT(cr3_empty_tables)
{
    load_cr3((uint64_t)lower);
}

/* Maps the page at 512 GiB to an address that has more bits than the processor. */
TMK_TEST(hostile, page_tables_reserved_bits)
{
    uint64_t value = 0;
    lower[0] = LARGE_PAGE | PRESENT_WRITABLE | 1ul << 51;
    use_top_with(1, (uint64_t)lower | PRESENT_WRITABLE);
    struct fault fault = try_read(1ul << 39, &value);
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, VECTOR_PF);
    tmk_log("recovered from reserved bits");
}

/* A leaf that maps to no RAM: MMIO that nobody claims. */
TMK_TEST(hostile, page_beyond_ram)
{
    uint64_t value = 0;
    lower[0] = LARGE_PAGE | PRESENT_WRITABLE | 1ul << 36;
    use_top_with(1, (uint64_t)lower | PRESENT_WRITABLE);
    ASSERT(!try_read(1ul << 39, &value).taken);
    ASSERT_EQ(value, ~0ul);
    tmk_log("what lies beyond RAM reads all ones");
}

/* Code where there is no RAM. */
HOSTILE_FAULT(jump_outside_ram)
{
    ((void (*)(void))UNCLAIMED_ADDRESS)();
}

HOSTILE_FAULT(jump_into_apic_page)
{
    ((void (*)(void))0xfee00000ul)();
}

TMK_TEST(hostile, jump_non_canonical)
{
    fault_clear();
    asm volatile("1: jmp *%0\n2:" FAULT_FIXUP("1b", "2b") : : "r"(1ul << 63) : "memory");
    ASSERT(fault_last().taken);
    ASSERT_EQ(fault_last().vector, VECTOR_GP);
    tmk_log("recovered from a jump to a non-canonical address");
}

/* Runs off the end of RAM, in the middle of an instruction. */
HOSTILE_FAULT(code_across_ram_end)
{
    uint64_t end = ram_end();
    volatile uint8_t *code = (volatile uint8_t *)(end - 3);
    code[0] = 0x90; /* nop */
    code[1] = 0x48; /* movabs $…, %rax: eight of its ten bytes are not there */
    code[2] = 0xb8;
    ((void (*)(void))(end - 3))();
}
