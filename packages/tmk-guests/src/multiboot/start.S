/*
 * The Multiboot header and the way from 32-bit protected mode, where a loader starts the kernel (Multiboot Specification
 * 0.6.96, 3.2), into 64-bit mode: page tables of the kernel's own, which map the first 4 GiB as they are.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3 /* modules on pages; memory information */
#define MSR_EFER 0xc0000080
#define PAGE_TABLE 0x3 /* present, writable */
#define LARGE_PAGE 0x83 /* and of 2 MiB */

    .section .text.start, "ax"
    .balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .code32
    .globl _start
_start:
    cli
    movl $stack_top, %esp
    movl %eax, %esi
    movl %ebx, %edi

    movl $page_directories, %ebx
    movl $LARGE_PAGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, (%ebx,%ecx,8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 1b

    movl $page_directories + PAGE_TABLE, %eax
    xorl %ecx, %ecx
2:  movl %eax, pointer_table(,%ecx,8)
    addl $4096, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 2b
    movl $pointer_table + PAGE_TABLE, top_table

    movl %cr4, %eax
    orl $0x20, %eax          /* PAE */
    movl %eax, %cr4
    movl $top_table, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $0x100, %eax         /* LME */
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax    /* PG: long mode is on */
    movl %eax, %cr0
    lgdt gdt_descriptor
    ljmpl $8, $long_mode

    .code64
long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $stack_top, %esp
    xorl %ebp, %ebp
    /* The loader's magic and its information, first and second argument. */
    xchgl %esi, %edi
    call kernel_start
    ud2

    .section .data.gdt, "aw"
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 8: 64-bit code, DPL 0, accessed */
    .quad 0x00cf93000000ffff    /* 16: data, writable, accessed */
    .quad 0x00cf13000000ffff    /* 24: data that is not present */
    .quad 0, 0                  /* 32: the TSS, which faults.c fills in */
    .quad 0x00cff3000000ffff    /* 48: data, DPL 3 */
    .quad 0x00affb000000ffff    /* 56: 64-bit code, DPL 3 */
    .quad 0, 0                  /* 64: a TSS that is too short, as the other */
gdt_end:

    .balign 2
gdt_descriptor:
    .word gdt_end - gdt - 1
    .quad gdt

    .section .bss.start, "aw", @nobits
    .balign 4096
    .globl top_table, pointer_table, page_directories
top_table: .skip 4096
pointer_table: .skip 4096
page_directories: .skip 4 * 4096
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
