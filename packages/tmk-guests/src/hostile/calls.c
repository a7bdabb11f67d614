/* Calls to whatever is below, with registers that mean nothing. */
#include "../lib/hyperv.h"
#include "../lib/x86.h"
#include "hostile.h"

#define CALLS 2000

typedef void call(const uint64_t *registers);

/* Loads RAX to R15, RSP aside, from the sixteen words at RDI, and executes one instruction; a fault goes on behind it. */
#define CALL_WITH_REGISTERS(name, instruction)                                                      \
    call name;                                                                                      \
    asm(".pushsection .text\n" #name ":\n\t"                                                        \
        "pushq %rbx\n\tpushq %rbp\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"      \
        "movq 0(%rdi), %rax\n\tmovq 8(%rdi), %rcx\n\tmovq 16(%rdi), %rdx\n\t"                       \
        "movq 24(%rdi), %rbx\n\tmovq 40(%rdi), %rbp\n\tmovq 48(%rdi), %rsi\n\t"                     \
        "movq 64(%rdi), %r8\n\tmovq 72(%rdi), %r9\n\tmovq 80(%rdi), %r10\n\t"                       \
        "movq 88(%rdi), %r11\n\tmovq 96(%rdi), %r12\n\tmovq 104(%rdi), %r13\n\t"                    \
        "movq 112(%rdi), %r14\n\tmovq 120(%rdi), %r15\n\tmovq 56(%rdi), %rdi\n"                     \
        "1: " instruction "\n2:\n\t"                                                                \
        ".pushsection tmk_fixups, \"a\"\n\t.quad 1b, 2b\n\t.popsection\n\t"                         \
        "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n\tret\n\t"     \
        ".popsection");

CALL_WITH_REGISTERS(vmcall, "vmcall")
CALL_WITH_REGISTERS(vmmcall, "vmmcall")
CALL_WITH_REGISTERS(tdcall, ".byte 0x66, 0x0f, 0x01, 0xcc")
CALL_WITH_REGISTERS(vmgexit, "rep; vmmcall")
CALL_WITH_REGISTERS(xsetbv, "xsetbv")
CALL_WITH_REGISTERS(wbinvd, "wbinvd")
CALL_WITH_REGISTERS(invd, "invd")
CALL_WITH_REGISTERS(rdpmc, "rdpmc")

/* Whole garbage, then small numbers, which are likelier to mean something. */
static void call_with_garbage(call *call, uint64_t mask)
{
    for (unsigned i = 0; i < CALLS; i++) {
        uint64_t registers[16];
        for (unsigned j = 0; j < 16; j++)
            registers[j] = garbage() & (j % 2 ? ~0ul : mask);
        call(registers);
        for (unsigned j = 0; j < 16; j++)
            registers[j] = garbage() & mask;
        call(registers);
    }
}

TMK_TEST(hostile, vmcall_garbage)
{
    wrmsr(HV_GUEST_OS_ID, 1);
    call_with_garbage(vmcall, ~0ul);
    call_with_garbage(vmcall, 0xff);
    tmk_log("alive after VMCALL");
}

TMK_TEST(hostile, vmmcall_garbage)
{
    wrmsr(HV_GUEST_OS_ID, 1);
    call_with_garbage(vmmcall, ~0ul);
    call_with_garbage(vmmcall, 0xff);
    tmk_log("alive after VMMCALL");
}

TMK_TEST(hostile, tdcall_garbage)
{
    call_with_garbage(tdcall, ~0ul);
    call_with_garbage(tdcall, 0x1f);
    tmk_log("alive after TDCALL");
}

TMK_TEST(hostile, vmgexit_garbage)
{
    call_with_garbage(vmgexit, ~0ul);
    tmk_log("alive after VMGEXIT");
}

TMK_TEST(hostile, privileged_garbage)
{
    static call *const calls[] = {xsetbv, wbinvd, rdpmc};
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        call_with_garbage(calls[i], ~0ul);
        call_with_garbage(calls[i], 7);
    }
    tmk_log("alive after XSETBV, WBINVD and RDPMC");
}

/* The one outcome that depends on the backing: the reference does not handle this exit of the TDX module. */
TMK_TEST(hostile, invd)
{
    uint64_t registers[16] = {0};
    invd(registers);
    tmk_log("alive after INVD");
}
