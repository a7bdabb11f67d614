#include "apic.h"

#include "tmk.h"
#include "x86.h"

#define CPUID_FEATURES 1
#define CPUID_FEATURES_ECX_X2APIC (1u << 21)
#define X2APIC_MSR(reg) (0x800u + ((reg) >> 4))

static enum apic_mode current_mode;
static uint64_t page;

void apic_enable(enum apic_mode mode)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    ASSERT(base & APIC_BASE_ENABLED);
    ASSERT(!(base & APIC_BASE_X2APIC));
    page = base & APIC_BASE_ADDRESS;

    if (mode == X2APIC) {
        ASSERT(cpuid(CPUID_FEATURES, 0).ecx & CPUID_FEATURES_ECX_X2APIC);
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    }
    current_mode = mode;
    apic_write(APIC_SVR, APIC_SVR_ENABLED | APIC_SPURIOUS_VECTOR);
    apic_write(APIC_TPR, 0);
}

uint32_t apic_read(enum apic_register reg)
{
    return current_mode == X2APIC ? (uint32_t)rdmsr(X2APIC_MSR(reg)) : mmio_read32(page + reg);
}

void apic_write(enum apic_register reg, uint32_t value)
{
    if (current_mode == X2APIC)
        wrmsr(X2APIC_MSR(reg), value);
    else
        mmio_write32(page + reg, value);
}

bool apic_vector_bit(enum apic_register first, uint8_t vector)
{
    return apic_read(first + vector / 32 * 16) >> vector % 32 & 1;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(APIC_ID);
    return current_mode == X2APIC ? id : id >> 24;
}

static void send(uint32_t low, uint32_t destination)
{
    if (current_mode == X2APIC) {
        wrmsr(X2APIC_MSR(APIC_ICR), (uint64_t)destination << 32 | low);
    } else {
        mmio_write32(page + APIC_ICR_HIGH, destination << 24);
        mmio_write32(page + APIC_ICR, low);
    }
}

void apic_send_self_shorthand(uint8_t vector)
{
    send(APIC_ICR_SELF | APIC_ICR_ASSERT | vector, 0);
}

void apic_send_to_own_id(uint8_t vector)
{
    send(APIC_ICR_ASSERT | vector, apic_id());
}

void apic_send_self_register(uint8_t vector)
{
    apic_write(APIC_SELF_IPI, vector);
}
