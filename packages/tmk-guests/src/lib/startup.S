/*
 * Where a SIPI starts an application processor: real mode, at a page below 1 MiB that vps.c copies this to. It goes the
 * way SDM volume 3, 9.8.5 describes, by 32-bit protected mode to 64-bit mode, and jumps to the entry in the words at
 * its end.
 */
#define STARTUP_ADDRESS 0x8000
#define AT(label) (STARTUP_ADDRESS + label - startup_code)
#define MSR_EFER 0xc0000080

    .section .rodata.startup, "a"
    .globl startup_code, startup_code_end, startup_words
    .balign 16
    .code16
startup_code:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl startup_gdt_descriptor - startup_code
    movl %cr0, %eax
    orl $1, %eax             /* PE */
    movl %eax, %cr0
    ljmpl $24, $AT(protected_mode)

    .code32
protected_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr4, %eax
    orl $0x20, %eax          /* PAE */
    movl %eax, %cr4
    movl AT(startup_cr3), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    movl AT(startup_efer), %eax
    xorl %edx, %edx
    wrmsr
    movl %cr0, %eax
    andl $0x9fffffff, %eax   /* CD and NW, which INIT sets */
    orl $0x80000000, %eax    /* PG: long mode is on */
    movl %eax, %cr0
    ljmpl $8, $AT(long_mode)

    .code64
long_mode:
    lgdt AT(startup_gdtr)
    lidt AT(startup_idtr)
    movl AT(startup_stack), %esp
    movl AT(startup_entry), %eax
    jmp *%rax

    .balign 16
startup_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 8 and 16: as in start.S */
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff    /* 24: 32-bit code */
startup_gdt_end:
startup_gdt_descriptor:
    .word startup_gdt_end - startup_gdt - 1
    .long AT(startup_gdt)

    /* struct startup_words of vps.c. */
    .balign 16
startup_words:
startup_cr3: .long 0
startup_efer: .long 0
startup_stack: .long 0
startup_entry: .long 0
startup_gdtr: .skip 10
startup_idtr: .skip 10
startup_code_end:

    .section .note.GNU-stack, "", @progbits
