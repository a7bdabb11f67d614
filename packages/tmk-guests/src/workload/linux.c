/* The workload as a program for Linux on x86-64, without a C library: `write` and `exit` are all it needs. */
#include "workload.h"

#include <stddef.h>
#include <stdint.h>

#define SYS_WRITE 1
#define SYS_EXIT 60
#define STANDARD_OUTPUT 1

static long system_call(long number, long first, long second, long third)
{
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second), "d"(third) : "rcx", "r11", "memory");
    return result;
}

void put_text(const char *text, uint32_t length)
{
    system_call(SYS_WRITE, STANDARD_OUTPUT, (long)text, length);
}

/* At entry RSP points at the argument count, which the arguments follow (System V ABI, AMD64 supplement, 3.4.1). */
asm(".globl _start\n"
    "_start:\n\t"
    "movq %rsp, %rdi\n\t"
    "andq $-16, %rsp\n\t"
    "call begin");

/* The command line is the first argument. */
void begin(const uint64_t *stack)
{
    run_workload(stack[0] > 1 ? (const char *)stack[2] : "");
    for (;;)
        system_call(SYS_EXIT, 0, 0, 0);
}
