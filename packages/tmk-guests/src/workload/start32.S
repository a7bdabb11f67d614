/*
 * The Multiboot header, and 32-bit protected mode with paging: the first 4 GiB mapped as they are by pages of 4 MiB, so
 * that memory costs an emulator what it costs it in 64-bit mode.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3 /* modules on pages; memory information */
#define LARGE_PAGE 0x83 /* present, writable, of 4 MiB */

    .section .text.start, "ax"
    .balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .globl _start
_start:
    cli
    movl $stack_top, %esp
    movl %eax, %esi

    movl $LARGE_PAGE, %eax
    xorl %ecx, %ecx
1:  movl %eax, page_directory(,%ecx,4)
    addl $0x400000, %eax
    incl %ecx
    cmpl $1024, %ecx
    jne 1b

    movl %cr4, %eax
    orl $0x10, %eax          /* PSE */
    movl %eax, %cr4
    movl $page_directory, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax    /* PG */
    movl %eax, %cr0

    /* The flat segments of the loader's GDT stay loaded. The loader's magic and its information. */
    xorl %ebp, %ebp
    pushl %ebx
    pushl %esi
    call kernel_start
    ud2

    .section .bss.start, "aw", @nobits
    .balign 4096
page_directory: .skip 4096
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
