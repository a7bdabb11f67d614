/* Each VTL has a SynIC of its own: one SINT number, two message pages, two timers. TLFS, "Synthetic Interrupt Controller". */
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/vtl.h"
#include "vsm.h"

#define SHARED_SINT 4

static volatile struct hv_timer_message vtl1_messages[16] __attribute__((aligned(4096)));
static volatile uint64_t vtl1_due;

static void start_message_timer(void)
{
    wrmsr(HV_SIMP, (uint64_t)vtl1_messages | SIMP_ENABLED);
    synic_set_vector(SHARED_SINT, VTL1_VECTOR);
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_SINT(SHARED_SINT));
    stimer_set_count(0, vtl1_due);
}

TMK_TEST(vsm, messages)
{
    vsm_initialize(start_message_timer);
    synic_enable();
    synic_set_vector(SHARED_SINT, VTL0_VECTOR);
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_SINT(SHARED_SINT));
    uint64_t vtl0_due = stimer_start(0, MILLISECONDS(10));
    vtl1_due = vtl0_due - MILLISECONDS(5);
    vtl_call();

    expect_firings(2);
    ASSERT_EQ(firing_vector(0), VTL1_VECTOR);
    ASSERT_EQ(firing_vector(1), VTL0_VECTOR);
    ASSERT_EQ(vtl1_messages[SHARED_SINT].type, HV_MESSAGE_TIMER_EXPIRED);
    ASSERT_EQ(vtl1_messages[SHARED_SINT].expiration_time, vtl1_due);
    ASSERT_EQ(synic_message(SHARED_SINT)->type, HV_MESSAGE_TIMER_EXPIRED);
    ASSERT_EQ(synic_message(SHARED_SINT)->expiration_time, vtl0_due);
    tmk_log("a message each, in pages of their own");
}
