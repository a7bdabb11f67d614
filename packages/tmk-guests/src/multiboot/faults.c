/* Exceptions of 64-bit mode that a kernel at privilege level 0 can provoke, each taken and recovered from. */
#include "kernel.h"

#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"

#define NOT_PRESENT_SELECTOR 24
#define TSS_SELECTOR 32
#define TSS_AVAILABLE 0x89ul
#define CR0_MP (1ul << 1)
#define CR0_TS (1ul << 3)
#define CR0_NE (1ul << 5)
#define CR4_OSFXSR (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define RFLAGS_TF (1ul << 8)
#define VECTOR_DB 1
#define VECTOR_DF 8

/* A fault at 1, or a trap behind it. */
#define PROVOKE(...)                                                                                        \
    ({                                                                                                      \
        fault_clear();                                                                                      \
        asm volatile(__VA_ARGS__);                                                                          \
        fault_last();                                                                                       \
    })
#define FAULTS FAULT_FIXUP("1b", "2b")
#define TRAPS FAULT_FIXUP("2b", "2b")

static void expect(struct fault fault, uint64_t vector, uint64_t error_code)
{
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, vector);
    ASSERT_EQ(fault.error_code, error_code);
}

static uint64_t read_cr0(void)
{
    uint64_t value;
    asm volatile("movq %%cr0, %0" : "=r"(value));
    return value;
}

static void write_cr0(uint64_t value)
{
    asm volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}

extern uint64_t gdt[];
static struct {
    uint32_t reserved;
    uint64_t rsp[3], reserved2, ist[7], reserved3;
    uint16_t reserved4, io_map;
} __attribute__((packed)) tss;
static uint8_t fault_stack[4096] __attribute__((aligned(16)));
static volatile uint64_t stack_before, resume_at;
static volatile bool double_fault_taken;

static volatile uint64_t debug_trap_rip;

static void on_debug_trap(struct interrupt_frame *frame)
{
    debug_trap_rip = frame->rip;
    frame->rflags &= ~RFLAGS_TF;
}

static void on_double_fault(struct interrupt_frame *frame)
{
    ASSERT_EQ(frame->error_code, 0);
    double_fault_taken = true;
    frame->rsp = stack_before;
    frame->rip = resume_at;
}

/* A stack fault whose frame cannot be pushed either; the double fault has a stack of its own by the TSS. */
static void test_double_fault(void)
{
    uint64_t base = (uint64_t)&tss;
    tss.ist[0] = (uint64_t)fault_stack + sizeof(fault_stack);
    tss.io_map = sizeof(tss);
    gdt[4] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    gdt[5] = base >> 32;
    asm volatile("ltr %w0" : : "r"(TSS_SELECTOR));
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idtr;
    asm volatile("sidt %0" : "=m"(idtr));
    ((uint8_t *)idtr.base)[16 * VECTOR_DF + 4] = 1;
    interrupts_handle(VECTOR_DF, on_double_fault);
    asm volatile("leaq 1f(%%rip), %%rax\n\t"
                 "movq %%rax, %1\n\t"
                 "movq %%rsp, %0\n\t"
                 "movabsq $0x8000000000000000, %%rsp\n\t"
                 "pushq %%rax\n"
                 "1:"
                 : "=m"(stack_before), "=m"(resume_at)
                 :
                 : "rax", "memory");
    ASSERT(double_fault_taken);
}

void test_faults(void)
{
    expect(PROVOKE("1: divl %0\n2:" FAULTS : : "r"(0), "a"(1), "d"(0) : "cc"), 0, 0);
    /* RFLAGS.TF: a trap behind the instruction that follows. */
    interrupts_handle(VECTOR_DB, on_debug_trap);
    uint64_t expected_rip;
    asm volatile("leaq 1f(%%rip), %0\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n1:" : "=r"(expected_rip) : : "memory", "cc");
    ASSERT_EQ(debug_trap_rip, expected_rip);
    expect(PROVOKE("int3\n2:" TRAPS : : : "memory"), 3, 0);
    expect(PROVOKE("int $4\n2:" TRAPS : : : "memory"), 4, 0);
    expect(PROVOKE("int $5\n2:" TRAPS : : : "memory"), 5, 0);
    expect(PROVOKE("1: ud2\n2:" FAULTS : : : "memory"), VECTOR_UD, 0);

    uint64_t cr0 = read_cr0(), cr4;
    asm volatile("movq %%cr4, %0" : "=r"(cr4));
    asm volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT));
    write_cr0((cr0 | CR0_MP | CR0_NE) | CR0_TS);
    expect(PROVOKE("1: fwait\n2:" FAULTS : : : "memory"), 7, 0);
    write_cr0(cr0 | CR0_MP | CR0_NE);

    test_double_fault();
    expect(PROVOKE("1: movl %0, %%fs\n2:" FAULTS : : "r"(NOT_PRESENT_SELECTOR) : "memory"), 11, NOT_PRESENT_SELECTOR);
    expect(PROVOKE("pushq %%rbp\n\tmovabsq $0x8000000000000000, %%rbp\n1: movl (%%rbp), %%eax\n2:\tpopq %%rbp" FAULTS : : : "rax", "memory"), 12, 0);
    expect(PROVOKE("1: movl (%0), %%eax\n2:" FAULTS : : "r"(1ul << 63) : "rax", "memory"), VECTOR_GP, 0);
    /* Beyond what the page tables map: not present, a read, then a write. */
    expect(PROVOKE("1: movl (%0), %%eax\n2:" FAULTS : : "r"(1ul << 32) : "rax", "memory"), 14, 0);
    ASSERT_EQ(read_cr2(), 1ul << 32);
    expect(PROVOKE("1: movl %%eax, (%0)\n2:" FAULTS : : "r"(1ul << 33) : "memory"), 14, 2);
    ASSERT_EQ(read_cr2(), 1ul << 33);

    /* x87: 1 / 0 with that exception unmasked, told by the next waiting instruction. */
    static const uint16_t unmasked = 0x037b;
    asm volatile("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp" : : "m"(unmasked));
    expect(PROVOKE("1: fwait\n2:" FAULTS : : : "memory"), 16, 0);
    asm volatile("fninit");
    static const uint32_t mxcsr_unmasked = 0x1d80, mxcsr = 0x1f80;
    asm volatile("ldmxcsr %0\n\txorps %%xmm0, %%xmm0\n\tmovl $0x3f800000, %%eax\n\tmovd %%eax, %%xmm1" : : "m"(mxcsr_unmasked) : "rax");
    expect(PROVOKE("1: divss %%xmm0, %%xmm1\n2:" FAULTS : : : "memory"), 19, 0);
    asm volatile("ldmxcsr %0" : : "m"(mxcsr));
    tmk_log("faults: taken and recovered from");
}
