/* The local APIC, through its MMIO page or its MSRs. SDM volume 3, chapter 11. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_BSP (1ul << 8)
#define APIC_BASE_X2APIC (1ul << 10)
#define APIC_BASE_ENABLED (1ul << 11)
#define APIC_BASE_ADDRESS 0xffffff000ul

/* Register offsets in the xAPIC page; the x2APIC MSR is 0x800 + offset / 16. */
enum apic_register {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SVR = 0xf0,
    APIC_ISR = 0x100,
    APIC_IRR = 0x200,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310, /* xAPIC only */
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_TIMER_INITIAL_COUNT = 0x380,
    APIC_TIMER_CURRENT_COUNT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    APIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define APIC_SVR_ENABLED (1u << 8)
#define APIC_SPURIOUS_VECTOR 0xffu
#define APIC_LVT_MASKED (1u << 16)
#define APIC_LVT_PERIODIC (1u << 17)
#define APIC_ICR_ASSERT (1u << 14)
#define APIC_ICR_SELF (1u << 18)
#define APIC_DIVIDE_BY_1 0xbu
#define APIC_DIVIDE_BY_16 0x3u

enum apic_mode {
    XAPIC,
    X2APIC,
};

/* Enters the mode and sets the software-enable bit: VTL0's APIC starts without it. Start mode must be xAPIC. */
void apic_enable(enum apic_mode mode);

/* One register, in whichever mode apic_enable chose. */
uint32_t apic_read(enum apic_register reg);
void apic_write(enum apic_register reg, uint32_t value);

/* One bit of ISR or IRR. */
bool apic_vector_bit(enum apic_register first, uint8_t vector);

/* Ends the interrupt in service; every handler of an APIC interrupt calls it. */
void apic_eoi(void);

/* This VP's APIC id. */
uint32_t apic_id(void);

/* A fixed, edge-triggered IPI to this VP: by the self shorthand, or by its own physical id. */
void apic_send_self_shorthand(uint8_t vector);
void apic_send_to_own_id(uint8_t vector);

/* A fixed IPI through the SELF IPI register. x2APIC only. */
void apic_send_self_register(uint8_t vector);
