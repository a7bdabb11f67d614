/* Faults that a test provokes and recovers from, and the control registers that decide whether they come. */
#pragma once

#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"

/* A fault at 1, or a trap behind it. */
#define PROVOKE(...)                                                                                        \
    ({                                                                                                      \
        fault_clear();                                                                                      \
        asm volatile(__VA_ARGS__);                                                                          \
        fault_last();                                                                                       \
    })
#define FAULTS FAULT_FIXUP("1b", "2b")
#define TRAPS FAULT_FIXUP("2b", "2b")

static inline void expect(struct fault fault, uint64_t vector, uint64_t error_code)
{
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, vector);
    ASSERT_EQ(fault.error_code, error_code);
}

static inline uint64_t read_cr0(void)
{
    uint64_t value;
    asm volatile("movq %%cr0, %0" : "=r"(value));
    return value;
}

static inline void write_cr0(uint64_t value)
{
    asm volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}
