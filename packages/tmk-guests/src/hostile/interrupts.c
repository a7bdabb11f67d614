/* Descriptor tables that cannot work. */
#include "../lib/interrupts.h"
#include "../lib/x86.h"
#include "hostile.h"

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

static uint64_t table[512] __attribute__((aligned(4096)));

static void load_idt(uint64_t base, uint16_t limit)
{
    struct table_register descriptor = {.limit = limit, .base = base};
    asm volatile("lidt %0" : : "m"(descriptor) : "memory");
}

HOSTILE_FAULT(idt_garbage)
{
    for (unsigned i = 0; i < 512; i++)
        table[i] = garbage();
    load_idt((uint64_t)table, sizeof(table) - 1);
    asm volatile("ud2");
}

/* The delivery itself reaches for a device; nothing can emulate that. */
HOSTILE_FAULT(idt_outside_ram)
{
    load_idt(UNCLAIMED_ADDRESS, 4095);
    asm volatile("ud2");
}

/* Beyond the identity mapping: #PF in every delivery. */
HOSTILE_FAULT(idt_unmapped)
{
    load_idt(1ul << 33, 4095);
    asm volatile("ud2");
}

HOSTILE_FAULT(idt_empty)
{
    load_idt(0, 0);
    asm volatile("int3");
}

/* An IDT every gate of which leads to an instruction that faults, on the stack of this number in the TSS (0: the current one). */
__attribute__((noinline)) static void load_fault_loop(uint64_t ist)
{
    extern const uint8_t hostile_fault_loop[];
    asm volatile(".pushsection .text\nhostile_fault_loop: ud2\n.popsection");
    uint64_t handler = (uint64_t)hostile_fault_loop;
    for (unsigned vector = 0; vector < 256; vector++) {
        table[2 * vector] = (handler & 0xffff) | 8ul << 16 | ist << 32 | 0x8eul << 40 | (handler >> 16 & 0xffff) << 48;
        table[2 * vector + 1] = handler >> 32;
    }
    load_idt((uint64_t)table, sizeof(table) - 1);
}

/* The stack grows down through all of RAM and out of it. */
HOSTILE_FAULT(idt_fault_loop)
{
    load_fault_loop(0);
    asm volatile("ud2");
}

/* The same on a stack that the TSS gives anew each time: it never ends, and never retires an instruction. */
TMK_TEST(hostile, idt_fault_endless)
{
    enum { TSS_SELECTOR = 0x10 };
    static uint8_t stack[256] __attribute__((aligned(16)));
    static struct __attribute__((packed)) {
        uint32_t reserved0;
        uint64_t rsp[3], reserved1, ist[7];
    } tss;
    static uint64_t descriptors[4];
    uint64_t base = (uint64_t)&tss;
    tss.ist[0] = (uint64_t)stack + sizeof(stack);
    descriptors[1] = 0x00af9b000000fffful;
    descriptors[2] = 0x67 | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
    descriptors[3] = base >> 32;
    struct table_register gdtr = {.limit = sizeof(descriptors) - 1, .base = (uint64_t)descriptors};
    asm volatile("lgdt %0\n\tltr %w1" : : "m"(gdtr), "r"(TSS_SELECTOR) : "memory");
    load_fault_loop(1);
    asm volatile("ud2");
}

HOSTILE_FAULT(triple_fault)
{
    load_idt(0, 0);
    asm volatile("ud2");
}

/* CS is loaded from a table that is not there. */
HOSTILE_FAULT(gdt_outside_ram)
{
    struct table_register descriptor = {.limit = 0xffff, .base = UNCLAIMED_ADDRESS};
    asm volatile("lgdt %0" : : "m"(descriptor) : "memory");
    asm volatile("ud2");
}

TMK_TEST(hostile, table_base_non_canonical)
{
    struct table_register descriptor = {.limit = 4095, .base = 1ul << 63};
    fault_clear();
    asm volatile("1: lidt %0\n2:" FAULT_FIXUP("1b", "2b") : : "m"(descriptor) : "memory");
    ASSERT(fault_last().taken);
    ASSERT_EQ(fault_last().vector, VECTOR_GP);
    fault_clear();
    asm volatile("1: lgdt %0\n2:" FAULT_FIXUP("1b", "2b") : : "m"(descriptor) : "memory");
    ASSERT(fault_last().taken);
    ASSERT_EQ(fault_last().vector, VECTOR_GP);
    tmk_log("recovered from tables at non-canonical addresses");
}

HOSTILE_FAULT(stack_in_mmio)
{
    asm volatile("movl %0, %%esp\n\t"
                 "pushq $1\n\t"
                 "popq %%rax\n\t"
                 "ud2"
                 :
                 : "i"(UNCLAIMED_ADDRESS + 2048)
                 : "rax", "memory");
}

HOSTILE_FAULT(stack_in_apic_page)
{
    asm volatile("movl %0, %%esp\n\t"
                 "call 1f\n"
                 "1: ud2"
                 :
                 : "i"(0xfee00800)
                 : "memory");
}

HOSTILE_FAULT(stack_over_command_address)
{
    asm volatile("movl %0, %%esp\n\t"
                 "pushq $-1\n\t"
                 "ud2"
                 :
                 : "i"(COMMAND_ADDRESS + 8)
                 : "memory");
}

HOSTILE_FAULT(stack_non_canonical)
{
    asm volatile("movabsq $0x8000000000000000, %%rsp\n\t"
                 "pushq $1"
                 :
                 :
                 : "memory");
}
