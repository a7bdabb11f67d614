/*
 * Code that writes over itself. SDM volume 3, 9.1.3, asks for a branch between the store and the code; processors since the Pentium Pro see the store
 * at the very next instruction, and so must this one.
 */
#include "../lib/x86.h"
#include "hostile.h"

/* The store turns the INC behind it into a NOP of the same length. */
TMK_TEST(hostile, code_next_instruction)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < 100; i++) {
        asm volatile("movw $0x1f0f, 1f(%%rip)\n" /* 0f 1f c0 to c7: nop */
                     "1: incq %0"
                     : "+r"(count)
                     :
                     : "memory", "cc");
    }
    ASSERT_EQ(count, 0);
    tmk_log("the new instruction ran");
}

/* An immediate counts up in the code: 10,000 versions of one instruction. */
TMK_TEST(hostile, code_every_iteration)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t value;
        asm volatile("movl %1, 1f+1(%%rip)\n"
                     "1: .byte 0xb8\n\t.long 0\n\t" /* mov $imm32, %eax */
                     : "=&a"(value)
                     : "r"(i)
                     : "memory");
        sum += value;
    }
    ASSERT_EQ(sum, 49995000);
    tmk_log("10000 versions of one instruction ran");
}

/* The same for ever. */
TMK_TEST(hostile, code_endless)
{
    asm volatile("1: incl 2f+1(%%rip)\n"
                 "2: .byte 0xb8\n\t.long 0\n\t"
                 "jmp 1b"
                 :
                 :
                 : "rax", "memory", "cc");
}

/* REP STOSB over the code that runs it, and on through the image. */
HOSTILE_FAULT(code_wiped)
{
    asm volatile("leaq 1f(%%rip), %%rdi\n\t"
                 "movl $0x1000, %%ecx\n\t"
                 "movb $0x0f, %%al\n"
                 "1: rep stosb"
                 :
                 :
                 : "rax", "rcx", "rdi", "memory");
}
