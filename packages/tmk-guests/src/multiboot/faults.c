/* Exceptions of 64-bit mode that a kernel at privilege level 0 can provoke, each taken and recovered from. */
#include "kernel.h"

#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"
#include "provoke.h"

#define NOT_PRESENT_SELECTOR 24
#define TSS_SELECTOR 32
#define SHORT_TSS_SELECTOR 64
#define TSS_AVAILABLE 0x89ul
#define CR0_MP (1ul << 1)
#define CR0_TS (1ul << 3)
#define CR0_NE (1ul << 5)
#define CR4_OSFXSR (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define RFLAGS_TF (1ul << 8)
#define VECTOR_DB 1
#define VECTOR_DF 8
#define VECTOR_WITH_STACK 0x44
/* A gate's bytes (SDM volume 3, 6.14.1). */
#define gate_byte(vector, offset) (((volatile uint8_t *)idtr.base)[16 * (vector) + (offset)])
#define GATE_STACK 4
#define GATE_ATTRIBUTES 5

extern uint64_t gdt[];
static struct {
    uint32_t reserved;
    uint64_t rsp[3], reserved2, ist[7], reserved3;
    uint16_t reserved4, io_map;
} __attribute__((packed)) tss;
static uint8_t fault_stack[4096] __attribute__((aligned(16)));
static uint8_t privileged_stack[4096] __attribute__((aligned(16)));
static struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
} idtr;
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

/* Makes the descriptor at a selector one of the TSS, available and so long, and loads it. */
static void load_task_register(uint16_t selector, uint64_t limit)
{
    uint64_t base = (uint64_t)&tss;
    gdt[selector / 8] = limit | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    gdt[selector / 8 + 1] = base >> 32;
    asm volatile("ltr %w0" : : "r"(selector));
}

void user_may_call(uint8_t vector)
{
    gate_byte(vector, GATE_ATTRIBUTES) |= 3 << 5;
}

/* A stack of a gate that lies behind the end of the TSS (SDM volume 3, 6.14.5). */
static void test_invalid_tss(void)
{
    load_task_register(SHORT_TSS_SELECTOR, __builtin_offsetof(typeof(tss), ist) - 1);
    gate_byte(VECTOR_WITH_STACK, GATE_STACK) = 1;
    expect(PROVOKE("1: int %0\n2:" FAULTS : : "i"(VECTOR_WITH_STACK) : "memory"), 10, SHORT_TSS_SELECTOR);
    load_task_register(TSS_SELECTOR, sizeof(tss) - 1);
}

/* A stack fault whose frame cannot be pushed either; the double fault has a stack of its own by the TSS. */
static void test_double_fault(void)
{
    tss.rsp[0] = (uint64_t)privileged_stack + sizeof(privileged_stack);
    tss.ist[0] = (uint64_t)fault_stack + sizeof(fault_stack);
    tss.io_map = sizeof(tss);
    load_task_register(TSS_SELECTOR, sizeof(tss) - 1);
    asm volatile("sidt %0" : "=m"(idtr));
    gate_byte(VECTOR_DF, GATE_STACK) = 1;
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
    test_invalid_tss();
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
