/*
 * The entry point. The loader gives 64-bit mode, identity page tables for 4 GiB and RSI = start input; RSP is not
 * given. From here on the stack and the GDT are the guest's own; the IDT follows in C.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    leaq stack_top(%rip), %rsp
    lgdt gdt_descriptor(%rip)

    /* A far return is how 64-bit code loads CS. */
    pushq $8
    leaq 1f(%rip), %rax
    pushq %rax
    lretq
1:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs

    xorl %ebp, %ebp
    movq %rsi, %rdi
    call tmk_start
    ud2

    .section .data.gdt, "aw"
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 8: 64-bit code, DPL 0, accessed */
    .quad 0x00cf93000000ffff    /* 16: data, writable, accessed */
gdt_end:

    .balign 2
gdt_descriptor:
    .word gdt_end - gdt - 1
    .quad gdt

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
