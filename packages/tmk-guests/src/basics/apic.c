/* The local APIC's two modes, and interrupts a VP sends to itself. SDM volume 3, chapter 11. */
#include "../lib/apic.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"
#include "../lib/x86.h"

/* The version register of the emulated APIC: version 0x14, highest LVT entry 5. */
#define EMULATED_VERSION 0x50014u

/* Two priority classes: vectors / 16. */
#define LOW_VECTOR 0x41
#define HIGH_VECTOR 0x72

TMK_TEST(basics, enable_x2apic)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    ASSERT(base & APIC_BASE_BSP);
    ASSERT_EQ(base & APIC_BASE_ADDRESS, 0xfee00000);
    ASSERT_EQ(mmio_read32((base & APIC_BASE_ADDRESS) + APIC_VERSION), EMULATED_VERSION);

    apic_enable(X2APIC);
    ASSERT_EQ(rdmsr(MSR_APIC_BASE), base | APIC_BASE_X2APIC);
    ASSERT_EQ(apic_read(APIC_VERSION), EMULATED_VERSION);
    ASSERT_EQ(apic_read(APIC_SVR), APIC_SVR_ENABLED | APIC_SPURIOUS_VECTOR);
    ASSERT_EQ(apic_id(), 0);

    /* x2APIC back to xAPIC without disabling first is an illegal transition (SDM volume 3, 11.12.5). */
    struct fault fault = try_wrmsr(MSR_APIC_BASE, base);
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, VECTOR_GP);
    ASSERT_EQ(fault.error_code, 0);
    ASSERT_EQ(rdmsr(MSR_APIC_BASE), base | APIC_BASE_X2APIC);
    tmk_log("x2APIC on, version 0x%x", apic_read(APIC_VERSION));
}

static volatile uint32_t received;
static volatile uint8_t received_vectors[8];

static void on_ipi(struct interrupt_frame *frame)
{
    uint8_t vector = (uint8_t)frame->vector;
    ASSERT_LT(received, sizeof(received_vectors));
    ASSERT(!(read_rflags() & RFLAGS_IF));
    ASSERT(frame->rflags & RFLAGS_IF);
    ASSERT(apic_vector_bit(APIC_ISR, vector));
    ASSERT(!apic_vector_bit(APIC_IRR, vector));
    received_vectors[received] = vector;
    received = received + 1;
    apic_eoi();
    ASSERT(!apic_vector_bit(APIC_ISR, vector));
}

static void handle_ipis(void)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE);
    interrupts_handle(LOW_VECTOR, on_ipi);
    interrupts_handle(HIGH_VECTOR, on_ipi);
}

static void expect_received(uint32_t count)
{
    ASSERT(spin_until(&received, count, hv_reference_time() + SECONDS(1)));
    spin_for(MILLISECONDS(1));
    ASSERT_EQ(received, count);
}

/* Sent one at a time, then two while interrupts are off: those wait in the IRR and come highest first. */
static void exchange_ipis(void)
{
    apic_send_self_shorthand(LOW_VECTOR);
    ASSERT(apic_vector_bit(APIC_IRR, LOW_VECTOR));
    ASSERT_EQ(received, 0);
    expect_received(1);
    ASSERT_EQ(received_vectors[0], LOW_VECTOR);

    apic_send_to_own_id(HIGH_VECTOR);
    expect_received(2);
    ASSERT_EQ(received_vectors[1], HIGH_VECTOR);

    apic_send_self_shorthand(LOW_VECTOR);
    apic_send_self_shorthand(HIGH_VECTOR);
    apic_send_self_shorthand(HIGH_VECTOR); /* already requested: one interrupt */
    expect_received(4);
    ASSERT_EQ(received_vectors[2], HIGH_VECTOR);
    ASSERT_EQ(received_vectors[3], LOW_VECTOR);
}

TMK_TEST(basics, self_ipi_xapic)
{
    handle_ipis();
    apic_enable(XAPIC);
    exchange_ipis();
    tmk_log("%u IPIs by MMIO", received);
}

TMK_TEST(basics, self_ipi_x2apic)
{
    handle_ipis();
    apic_enable(X2APIC);
    exchange_ipis();
    apic_send_self_register(LOW_VECTOR);
    expect_received(5);
    ASSERT_EQ(received_vectors[4], LOW_VECTOR);
    tmk_log("%u IPIs by MSR", received);
}
