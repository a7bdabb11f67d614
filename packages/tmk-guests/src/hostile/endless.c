/* Guests that never end: the host's virtual time does. */
#include "../lib/x86.h"
#include "hostile.h"

TMK_TEST(hostile, loop_endless)
{
    asm volatile("1: jmp 1b");
}

TMK_TEST(hostile, halt_interrupts_off)
{
    for (;;)
        asm volatile("cli\n\thlt" : : : "memory");
}

TMK_TEST(hostile, halt_nothing_armed)
{
    for (;;)
        asm volatile("sti\n\thlt" : : : "memory");
}

TMK_TEST(hostile, cpuid_endless)
{
    for (;;)
        (void)cpuid(0, 0);
}

/* Into RAM, then past its end: from there every byte is an exit. */
TMK_TEST(hostile, rep_stos_huge)
{
    uint64_t destination = ram_end() - 4096, count = 1ul << 63;
    asm volatile("rep stosb" : "+D"(destination), "+c"(count) : "a"(0x5a) : "memory");
}

/* The same byte for ever: nothing ends it but the host. */
TMK_TEST(hostile, rep_lods_huge)
{
    uint64_t source = (uint64_t)COMMAND_ADDRESS, count = ~0ul;
    asm volatile("std\n\trep lodsb\n\tcld" : "+S"(source), "+c"(count) : : "rax", "memory");
}
