/* NMIs to itself; the second processor: from real mode by INIT and SIPI, and interrupts to and fro. */
#include "kernel.h"

#include <stddef.h>

#include "../lib/apic.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/ipi.h"
#include "../lib/tmk.h"
#include "../lib/vps.h"
#include "../lib/wait.h"

#define VECTOR 0x62
#define NMI_VECTOR 2
#define ROUNDS 10
#define PATIENCE SECONDS(1)

static volatile uint32_t taken[2];

static void on_ipi(struct interrupt_frame *frame)
{
    (void)frame;
    uint32_t vp = vp_here();
    taken[vp] = taken[vp] + 1;
    apic_eoi();
}

/* Answers each interrupt by one to the first processor. */
static void answer(void)
{
    apic_enable(X2APIC);
    ipi_send(ICR_ASSERT | VECTOR, 0);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        halt_until(&taken[1], round);
        ipi_send(ICR_ASSERT | VECTOR, 0);
    }
}

static volatile uint32_t nmis;

static void on_nmi(struct interrupt_frame *frame)
{
    (void)frame;
    nmis = nmis + 1;
}

void test_processors(void)
{
    interrupts_handle(NMI_VECTOR, on_nmi);
    for (uint32_t n = 1; n <= ROUNDS; n++) {
        ipi_send(ICR_NMI | ICR_ASSERT, apic_id());
        ASSERT(spin_until(&nmis, n, hv_reference_time() + PATIENCE));
    }
    interrupts_handle(NMI_VECTOR, NULL);
    if (!vps_at_least(2))
        return;
    interrupts_handle(VECTOR, on_ipi);
    vp_start_by_sipi(1, answer);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        ASSERT(spin_until(&taken[0], round, hv_reference_time() + PATIENCE));
        ipi_send(ICR_ASSERT | VECTOR, 1);
    }
    ASSERT(spin_until(&taken[0], ROUNDS + 1, hv_reference_time() + PATIENCE));
    ASSERT_EQ(taken[1], ROUNDS);
    tmk_log("processors: %u interrupts each way", ROUNDS);
}
