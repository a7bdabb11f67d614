/* VTL0's interrupts while VTL1 runs: hidden, or told of by VINA. TLFS, "Virtual Interrupt Notification Assist". */
#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/hypercall.h"
#include "../lib/interrupts.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/vtl.h"
#include "../lib/wait.h"
#include "vsm.h"

#define VINA_VECTOR 0x71
#define DELAY MILLISECONDS(5)

static volatile uint32_t vina_count;
static uint64_t vtl0_due;

static void on_vina(struct interrupt_frame *frame)
{
    (void)frame;
    vina_count = vina_count + 1;
    apic_eoi();
}

/* VTL1 runs well past VTL0's due time, interrupts on. VTL0 does not run, so it takes nothing. */
static void run_past_due(void)
{
    while (hv_reference_time() < vtl0_due + DELAY)
        spin_for(MILLISECONDS(1));
    ASSERT_EQ(firings, 0);
}

TMK_TEST(vsm, vtl0_waits)
{
    vsm_initialize(run_past_due);
    vtl0_due = stimer_start(0, DELAY);
    interrupts_on();
    vtl_call();
    interrupts_off();
    expect_firings(1);
    ASSERT_NOT_EARLY(0, vtl0_due + DELAY);
    ASSERT_EQ(vina_count, 0);
    tmk_log("VTL0's timer fired when VTL1 had returned");
}

static void wait_for_vina(void)
{
    interrupts_handle(VINA_VECTOR, on_vina);
    ASSERT_EQ(hv_set_register(HV_REGISTER_VSM_VINA, VINA_VECTOR | VINA_ENABLED | VINA_AUTO_RESET), HV_STATUS_SUCCESS);
    ASSERT_EQ(vtl1_assist.vina_asserted, 0);
    ASSERT(spin_until(&vina_count, 1, hv_reference_time() + PATIENCE));
    ASSERT_GE(hv_reference_time(), vtl0_due);
    ASSERT_EQ(vtl1_assist.vina_asserted, 1);
    /* Asserted already: it does not come again before it is reset. */
    spin_for(DELAY);
    ASSERT_EQ(vina_count, 1);
    ASSERT_EQ(firings, 0);
}

TMK_TEST(vsm, vina)
{
    vsm_initialize(wait_for_vina);
    vtl0_due = stimer_start(0, DELAY);
    interrupts_on();
    vtl_call();
    interrupts_off();
    ASSERT_EQ(vtl1_assist.vina_asserted, 0); /* by auto-reset */
    expect_firings(1);
    ASSERT_NOT_EARLY(0, vtl0_due);
    ASSERT_EQ(vina_count, 1);
    tmk_log("VTL1 was told of VTL0's interrupt, once");
}
