/*
 * VTL1's code. It is entered with VTL0's general registers, RSP aside, which both share: on a call where it made its
 * last return, or on an interrupt for it. It gives all of them back; RAX and RCX, which the return itself needs, by way
 * of the assist page (TLFS, "VTL Return").
 */
    .text
    .globl vtl1_entry
vtl1_entry:
    movq %rax, vtl1_assist+16(%rip)
    movq %rcx, vtl1_assist+24(%rip)
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    call vtl1_run
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    xorl %ecx, %ecx
    call *vtl1_return_code(%rip)
    jmp vtl1_entry

    .section .note.GNU-stack, "", @progbits
