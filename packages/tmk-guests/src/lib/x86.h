/* Processor instructions that C has no words for. SDM volume 2. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RFLAGS_IF (1ul << 9)

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return low | (uint64_t)high << 32;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* Not an exit under any backing, so handlers may take time stamps for free. */
static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return low | (uint64_t)high << 32;
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/* MMIO goes through one plain MOV each, the form every instruction emulator must know. */
static inline uint32_t mmio_read32(uint64_t address)
{
    uint32_t value;
    asm volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
    asm volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline void mmio_write64(uint64_t address, uint64_t value)
{
    asm volatile("movq %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline uint64_t read_rflags(void)
{
    uint64_t flags;
    asm volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline uint64_t read_cr2(void)
{
    uint64_t value;
    asm volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

static inline void interrupts_on(void)
{
    asm volatile("sti" : : : "memory");
}

static inline void interrupts_off(void)
{
    asm volatile("cli" : : : "memory");
}

/*
 * Opens the interrupt window for exactly one HLT. STI blocks interrupts until after the instruction that follows it
 * (SDM volume 2, STI), so one that is already pending wakes the HLT and cannot slip in before it.
 */
static inline void halt_once(void)
{
    asm volatile("sti\n\thlt\n\tcli" : : : "memory");
}

/* dividend_high:0 / divisor, that is dividend_high * 2^64 / divisor. The caller keeps dividend_high < divisor. */
static inline uint64_t divide_shifted64(uint64_t dividend_high, uint64_t divisor)
{
    uint64_t quotient, remainder;
    asm("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(0ul), "d"(dividend_high), "r"(divisor) : "cc");
    return quotient;
}
