/* Code that is written while it runs, and code across a page boundary. SDM volume 3, 12.1.3. */
#include "kernel.h"

#include "../lib/tmk.h"

#define PAGE 4096

static uint8_t buffer[2 * PAGE] __attribute__((aligned(PAGE)));

static uint32_t run(volatile uint8_t *code, uint32_t value)
{
    /* movl $value, %eax; ret */
    code[0] = 0xb8;
    for (uint32_t i = 0; i < 4; i++)
        code[1 + i] = (uint8_t)(value >> 8 * i);
    code[5] = 0xc3;
    return ((uint32_t(*)(void))(uint64_t)code)();
}

void test_written_code(void)
{
    for (uint32_t i = 0; i < 100; i++)
        ASSERT_EQ(run(buffer, 0x01010101 * i), 0x01010101 * i);
    for (uint32_t i = 0; i < 100; i++)
        ASSERT_EQ(run(buffer + PAGE - 3, ~i), ~i);

    /* A loop that counts up the operand of its own next instruction. */
    static const uint8_t loop[] = {
        0xb9, 100, 0, 0, 0,                /* movl $100, %ecx */
        0xff, 0x05, 1, 0, 0, 0,            /* 1: incl 2f + 1(%rip) */
        0xb8, 0, 0, 0, 0,                  /* 2: movl $0, %eax */
        0xff, 0xc9,                        /* decl %ecx */
        0x75, 0xf1,                        /* jne 1b */
        0xc3,                              /* ret */
    };
    volatile uint8_t *code = buffer;
    for (uint32_t i = 0; i < sizeof(loop); i++)
        code[i] = loop[i];
    ASSERT_EQ(((uint32_t(*)(void))(uint64_t)code)(), 100);
    tmk_log("code: runs as it was last written");
}
