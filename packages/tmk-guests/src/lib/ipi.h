/* Interrupts from one VP to others, by the x2APIC ICR. SDM volume 3, 11.6 and 11.12.9. */
#pragma once

#include <stdint.h>

#include "x86.h"

#define MSR_X2APIC_ICR 0x830u

#define ICR_LOWEST_PRIORITY (1u << 8)
#define ICR_NMI (4u << 8)
#define ICR_INIT (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_LOGICAL (1u << 11)
#define ICR_ASSERT (1u << 14)
#define ICR_ALL (2u << 18)
#define ICR_ALL_BUT_SELF (3u << 18)

/* The logical x2APIC id of an APIC id below 16: cluster 0, one bit each (SDM volume 3, 11.12.10.2). */
#define LOGICAL_ID(apic_id) (1u << (apic_id))

/* The low half of the ICR as it is, and a destination: a physical id, or logical ids with ICR_LOGICAL. */
static inline void ipi_send(uint32_t low, uint32_t destination)
{
    wrmsr(MSR_X2APIC_ICR, (uint64_t)destination << 32 | low);
}
