#include "hyperv.h"

#include <stddef.h>

#include "tmk.h"

#define CPUID_HV_VENDOR 0x40000000u
#define CPUID_HV_INTERFACE 0x40000001u
#define CPUID_HV_FEATURES 0x40000003u
#define HV_INTERFACE 0x31237648u /* "Hv#1" */

#define REFERENCE_HZ 10000000ul

/* TLFS, guest OS identity: an open source system (bit 63) of a type nobody has taken, version 1. */
#define GUEST_OS_ID 0xff00000000010000ul

#define SINTS 16
#define SLOT_SIZE 256

_Static_assert(sizeof(struct hv_timer_message) == SLOT_SIZE, "TLFS, HV_MESSAGE");
_Static_assert(offsetof(struct hv_timer_message, expiration_time) == 24, "TLFS, HV_TIMER_MESSAGE_PAYLOAD");

static uint64_t tsc_frequency;
static uint64_t reference_scale;
static struct hv_timer_message message_page[SINTS] __attribute__((aligned(4096)));

void hv_initialize(uint32_t privileges, uint32_t features)
{
    struct cpuid_result vendor = cpuid(CPUID_HV_VENDOR, 0);
    ASSERT_EQ(vendor.ebx, 0x7263694d); /* "Micr" */
    ASSERT_EQ(vendor.ecx, 0x666f736f); /* "osof" */
    ASSERT_EQ(vendor.edx, 0x76482074); /* "t Hv" */
    ASSERT_GE(vendor.eax, CPUID_HV_FEATURES);
    ASSERT_EQ(cpuid(CPUID_HV_INTERFACE, 0).eax, HV_INTERFACE);

    struct cpuid_result found = cpuid(CPUID_HV_FEATURES, 0);
    ASSERT_EQ(found.eax & privileges, privileges);
    ASSERT_EQ(found.edx & features, features);

    wrmsr(HV_GUEST_OS_ID, GUEST_OS_ID);
    ASSERT_EQ(rdmsr(HV_GUEST_OS_ID), GUEST_OS_ID);

    tsc_frequency = rdmsr(HV_TSC_FREQUENCY);
    ASSERT_LT(REFERENCE_HZ, tsc_frequency); /* the division below needs it */
    reference_scale = divide_shifted64(REFERENCE_HZ, tsc_frequency);
}

uint64_t hv_reference_time_at(uint64_t tsc)
{
    return (unsigned __int128)tsc * reference_scale >> 64;
}

uint64_t hv_reference_time(void)
{
    return hv_reference_time_at(rdtsc());
}

uint64_t hv_tsc_frequency(void)
{
    return tsc_frequency;
}

void synic_enable(void)
{
    wrmsr(HV_SCONTROL, SCONTROL_ENABLED);
    wrmsr(HV_SIMP, (uint64_t)message_page | SIMP_ENABLED);
}

void synic_set_vector(uint32_t sint, uint8_t vector)
{
    wrmsr(HV_SINT0 + sint, vector);
}

volatile struct hv_timer_message *synic_message(uint32_t sint)
{
    return &message_page[sint];
}

void synic_free_message(uint32_t sint)
{
    synic_message(sint)->type = HV_MESSAGE_NONE;
    asm volatile("mfence" : : : "memory"); /* TLFS: the slot must be seen empty before the EOM */
    wrmsr(HV_EOM, 0);
}
