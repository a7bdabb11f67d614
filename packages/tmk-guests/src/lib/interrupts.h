/* The interrupt descriptor table: a handler a vector, and recovery from faults that a test provokes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_FIRST_EXTERNAL 32

/* What the processor and vectors.S push, lowest address first. */
struct interrupt_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector;
    uint64_t error_code; /* 0 for vectors that have none */
    uint64_t rip, cs, rflags, rsp, ss;
};

typedef void interrupt_handler(struct interrupt_frame *frame);

/* Builds and loads the table: all 256 vectors, none with a handler. A vector without a handler panics the test. */
void interrupts_initialize(void);

/* Sets the handler of one vector, or removes it with NULL. The handler runs with interrupts off; it sends the EOI. */
void interrupts_handle(uint8_t vector, interrupt_handler *handler);

/* What a provoked instruction did. */
struct fault {
    bool taken;
    uint64_t vector;
    uint64_t error_code;
};

/*
 * Marks the instruction at `at` as one that may fault, to go on at `resume` then. A fault anywhere else panics, so a
 * recovered one proves that the pushed RIP was exact.
 */
#define FAULT_FIXUP(at, resume)                 \
    "\n\t.pushsection tmk_fixups, \"a\"\n\t"    \
    ".quad " at ", " resume "\n\t"              \
    ".popsection\n\t"

/* Forgets the last recovered fault; call it before the instruction. */
void fault_clear(void);

/* The fault recovered since fault_clear. */
struct fault fault_last(void);

/* Runs one instruction without operands, given as a string, that may fault. */
#define TRY_INSTRUCTION(instruction)                                                   \
    ({                                                                                 \
        fault_clear();                                                                 \
        asm volatile("1: " instruction "\n2:" FAULT_FIXUP("1b", "2b") : : : "memory"); \
        fault_last();                                                                  \
    })

static inline struct fault try_wrmsr(uint32_t msr, uint64_t value)
{
    fault_clear();
    asm volatile("1: wrmsr\n2:" FAULT_FIXUP("1b", "2b")
                 :
                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                 : "memory");
    return fault_last();
}

/* Leaves `value` alone when the read faults. */
static inline struct fault try_rdmsr(uint32_t msr, uint64_t *value)
{
    uint32_t low = (uint32_t)*value, high = (uint32_t)(*value >> 32);
    fault_clear();
    asm volatile("1: rdmsr\n2:" FAULT_FIXUP("1b", "2b") : "+a"(low), "+d"(high) : "c"(msr) : "memory");
    *value = low | (uint64_t)high << 32;
    return fault_last();
}
