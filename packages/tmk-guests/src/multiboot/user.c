/* Privilege level 3 and back: by IRET, INT, faults, SYSCALL and SYSRET. It runs in the kernel's first 2 MiB, which are opened for it meanwhile. */
#include "kernel.h"

#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"
#include "provoke.h"

#define CODE_SELECTOR 8
#define DATA_SELECTOR 16
#define USER_DATA_SELECTOR (48 | 3)
#define USER_CODE_SELECTOR (56 | 3)
/* SYSRET takes SS from 8 behind it and CS from 16 behind it (SDM volume 2, SYSRET). */
#define SYSRET_BASE (40ul | 3)
#define MSR_EFER 0xc0000080
#define EFER_SCE 1
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define MSR_KERNEL_GS_BASE 0xc0000102
#define CR0_AM (1ul << 18)
#define PAGE_USER 4
#define SUPERVISOR_PAGE 0x200000ul
#define VECTOR_CALL 0x41
#define VECTOR_LEAVE 0x42
#define VECTOR_FORBIDDEN 0x43
#define ROUNDS 5
#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

extern uint64_t top_table[], pointer_table[], page_directories[];
static uint8_t user_stack[4096] __attribute__((aligned(16)));
/* Where on_leave goes back to. */
static volatile uint64_t stack_before;
extern const uint8_t left_user[];
static volatile uint32_t calls, system_calls;
static uint64_t kernel_gs[2];

static uint16_t code_selector(void)
{
    uint16_t selector;
    asm volatile("movw %%cs, %0" : "=r"(selector));
    return selector;
}

static void on_call(struct interrupt_frame *frame)
{
    ASSERT_EQ(code_selector(), CODE_SELECTOR);
    ASSERT_EQ(frame->cs, USER_CODE_SELECTOR);
    ASSERT_EQ(frame->ss, USER_DATA_SELECTOR);
    calls = calls + 1;
}

static void on_leave(struct interrupt_frame *frame)
{
    frame->cs = CODE_SELECTOR;
    frame->ss = DATA_SELECTOR;
    frame->rsp = stack_before;
    frame->rip = (uint64_t)left_user;
}

/* Counts in memory that only GS of the kernel leads to, on the user's stack, which it does not touch. */
asm(".text\n"
    "system_call_entry:\n\t"
    "swapgs\n\t"
    "incl %gs:8\n\t"
    "swapgs\n\t"
    "sysretq");
extern const uint8_t system_call_entry[];

/* Goes to privilege level 3, with a stack, and comes back by on_leave. */
void enter_user(uint64_t stack, void (*entry)(void));
asm("enter_user:\n\t"
    "pushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
    "movq %rsp, stack_before(%rip)\n\t"
    "pushq $" STRING(USER_DATA_SELECTOR) "\n\tpushq %rdi\n\tpushq $2\n\tpushq $" STRING(USER_CODE_SELECTOR) "\n\tpushq %rsi\n\t"
    "iretq\n"
    "left_user:\n\t"
    "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n\t"
    "ret");

static void test_system_calls(void)
{
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint64_t flags_before = read_rflags(), return_address, flags;
        asm volatile("leaq 1f(%%rip), %%rdx\n\tsyscall\n1:\tmovq %%r11, %0\n\tsubq %%rdx, %%rcx" : "=r"(flags), "=c"(return_address) : : "rdx", "r11", "memory");
        ASSERT_EQ(return_address, 0);
        ASSERT_EQ(flags & ~0xd5ul, flags_before & ~0xd5ul);
        ASSERT_EQ(code_selector(), USER_CODE_SELECTOR);
        ASSERT_EQ(kernel_gs[1], round);
    }
    system_calls = ROUNDS;
}

/* Runs at privilege level 3. */
static void at_user_level(void)
{
    ASSERT_EQ(code_selector(), USER_CODE_SELECTOR);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        asm volatile("int %0" : : "i"(VECTOR_CALL) : "memory");
        ASSERT_EQ(calls, round);
    }
    expect(PROVOKE("1: int %0\n2:" FAULTS : : "i"(VECTOR_FORBIDDEN) : "memory"), VECTOR_GP, VECTOR_FORBIDDEN * 8 + 2);
    expect(PROVOKE("1: cli\n2:" FAULTS : : : "memory"), VECTOR_GP, 0);
    expect(PROVOKE("1: hlt\n2:" FAULTS : : : "memory"), VECTOR_GP, 0);
    expect(PROVOKE("1: inb $0x80, %%al\n2:" FAULTS : : : "rax", "memory"), VECTOR_GP, 0);
    expect(PROVOKE("1: rdmsr\n2:" FAULTS : : "c"(MSR_EFER) : "rax", "rdx", "memory"), VECTOR_GP, 0);
    expect(PROVOKE("1: movq %%cr0, %%rax\n2:" FAULTS : : : "rax", "memory"), VECTOR_GP, 0);
    expect(PROVOKE("1: movl (%0), %%eax\n2:" FAULTS : : "r"(SUPERVISOR_PAGE) : "rax", "memory"), 14, 5);
    expect(PROVOKE("1: movl %%eax, (%0)\n2:" FAULTS : : "r"(SUPERVISOR_PAGE) : "memory"), 14, 7);
    expect(PROVOKE("1: ud2\n2:" FAULTS : : : "memory"), VECTOR_UD, 0);
    /* RFLAGS.AC under CR0.AM: only here, and only for accesses that are not aligned. */
    static uint64_t words[2];
    expect(PROVOKE("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmovl 4(%0), %%eax\n"
                   "1: movl 1(%0), %%eax\n2:\tpushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq" FAULTS : : "r"(words) : "rax", "memory", "cc"),
           17, 0);
    test_system_calls();
    asm volatile("int %0" : : "i"(VECTOR_LEAVE) : "memory");
    __builtin_unreachable();
}

/* Opens or closes the first 2 MiB, which hold the kernel. */
static void set_user_bit(bool user)
{
    uint64_t *entries[] = {top_table, pointer_table, page_directories};
    for (unsigned i = 0; i < 3; i++)
        *entries[i] = user ? *entries[i] | PAGE_USER : *entries[i] & ~(uint64_t)PAGE_USER;
    asm volatile("movq %%cr3, %%rax\n\tmovq %%rax, %%cr3" : : : "rax", "memory");
}

void test_user(void)
{
    uint64_t cr0 = read_cr0();
    write_cr0(cr0 | CR0_AM);
    set_user_bit(true);
    interrupts_handle(VECTOR_CALL, on_call);
    interrupts_handle(VECTOR_LEAVE, on_leave);
    user_may_call(VECTOR_CALL);
    user_may_call(VECTOR_LEAVE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    wrmsr(MSR_STAR, SYSRET_BASE << 48 | (uint64_t)CODE_SELECTOR << 32);
    wrmsr(MSR_LSTAR, (uint64_t)system_call_entry);
    wrmsr(MSR_SFMASK, RFLAGS_IF);
    wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)kernel_gs);
    enter_user((uint64_t)user_stack + sizeof(user_stack) - 8, at_user_level);
    set_user_bit(false);
    write_cr0(cr0);
    ASSERT_EQ(code_selector(), CODE_SELECTOR);
    ASSERT_EQ(system_calls, ROUNDS);
    tmk_log("user: %u calls, %u system calls", calls, system_calls);
}
