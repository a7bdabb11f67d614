/*
 * The entry point of a static PIE, as openvmm's toolchain makes one: linked at 0, loaded anywhere, and nobody but this
 * code applies its relocations. Until then only RIP-relative addresses may be used.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    leaq stack_top(%rip), %rsp
    xorl %ebp, %ebp
    pushq %rsi
    pushq %rsi    /* keeps the stack aligned */
    leaq __ehdr_start(%rip), %rdi
    leaq _DYNAMIC(%rip), %rsi
    call relocate
    popq %rdi
    popq %rsi
    call pie_start
    ud2

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
