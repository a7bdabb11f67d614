/* The hypervisor interface: discovery, reference time, the synthetic interrupt controller and its timers. TLFS. */
#pragma once

#include <stdint.h>

#include "x86.h"

/* Registers, as MSRs. */
#define HV_GUEST_OS_ID 0x40000000u
#define HV_VP_INDEX 0x40000002u
#define HV_TIME_REF_COUNT 0x40000020u
#define HV_TSC_FREQUENCY 0x40000022u
#define HV_APIC_FREQUENCY 0x40000023u
#define HV_EOI 0x40000070u
#define HV_SCONTROL 0x40000080u
#define HV_SVERSION 0x40000081u
#define HV_SIMP 0x40000083u
#define HV_EOM 0x40000084u
#define HV_SINT0 0x40000090u
#define HV_STIMER0_CONFIG 0x400000b0u
#define HV_STIMER0_COUNT 0x400000b1u

/* CPUID 0x40000003, EAX: privileges. */
#define HV_ACCESS_REFERENCE_COUNTER (1u << 1)
#define HV_ACCESS_SYNIC (1u << 2)
#define HV_ACCESS_SYNTHETIC_TIMERS (1u << 3)
#define HV_ACCESS_VP_INDEX (1u << 6)
#define HV_ACCESS_FREQUENCIES (1u << 11)
/* The same leaf, EDX: features. */
#define HV_FREQUENCIES_AVAILABLE (1u << 8)
#define HV_DIRECT_SYNTHETIC_TIMERS (1u << 19)

/* Synthetic timer configuration. */
#define STIMER_ENABLED (1ul << 0)
#define STIMER_PERIODIC (1ul << 1)
#define STIMER_AUTO_ENABLE (1ul << 3)
#define STIMER_APIC_VECTOR(vector) ((uint64_t)(vector) << 4)
#define STIMER_DIRECT (1ul << 12)
#define STIMER_SINT(sint) ((uint64_t)(sint) << 16)

#define SCONTROL_ENABLED (1ul << 0)
#define SIMP_ENABLED (1ul << 0)

#define HV_MESSAGE_NONE 0u
#define HV_MESSAGE_TIMER_EXPIRED 0x80000010u
#define HV_MESSAGE_FLAG_PENDING (1u << 0)

/* One slot of the SIMP page, as a timer fills it. */
struct hv_timer_message {
    uint32_t type;
    uint8_t payload_size;
    uint8_t flags;
    uint16_t reserved;
    uint64_t sender;
    uint32_t timer_index;
    uint32_t reserved2;
    uint64_t expiration_time; /* both in reference time, 100 ns */
    uint64_t delivery_time;
    uint8_t unused[216];
};

/* Reference time, in units of 100 ns. */
#define MICROSECONDS(n) ((uint64_t)(n) * 10)
#define MILLISECONDS(n) ((uint64_t)(n) * 10000)
#define SECONDS(n) ((uint64_t)(n) * 10000000)

/*
 * Finds the hypervisor, asserts the privileges (0x40000003 EAX) and features (EDX) asked for, sets the guest OS id and
 * learns the TSC frequency. Call it before anything else here.
 */
void hv_initialize(uint32_t privileges, uint32_t features);

/* A TSC value as reference time: tsc * (10^7 * 2^64 / frequency) >> 64, the formula of the reference TSC page. */
uint64_t hv_reference_time_at(uint64_t tsc);

/* Reference time now, from the TSC: no exit. */
uint64_t hv_reference_time(void);

/* Frequency of the TSC, Hz. */
uint64_t hv_tsc_frequency(void);

/* Enables the SynIC and its message page. */
void synic_enable(void);

/* Unmasks a synthetic interrupt source and gives it a vector. */
void synic_set_vector(uint32_t sint, uint8_t vector);

/* The message slot of a SINT. */
volatile struct hv_timer_message *synic_message(uint32_t sint);

/* Empties the slot and tells the hypervisor (EOM) that it may deliver the next message. */
void synic_free_message(uint32_t sint);

static inline void stimer_set_config(uint32_t timer, uint64_t config)
{
    wrmsr(HV_STIMER0_CONFIG + 2 * timer, config);
}

static inline uint64_t stimer_config(uint32_t timer)
{
    return rdmsr(HV_STIMER0_CONFIG + 2 * timer);
}

static inline void stimer_set_count(uint32_t timer, uint64_t count)
{
    wrmsr(HV_STIMER0_COUNT + 2 * timer, count);
}

static inline uint64_t stimer_count(uint32_t timer)
{
    return rdmsr(HV_STIMER0_COUNT + 2 * timer);
}
