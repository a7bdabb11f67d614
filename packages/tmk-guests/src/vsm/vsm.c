#include "vsm.h"

#include <stdbool.h>

#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/hypercall.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/vtl.h"

volatile uint32_t vtl1_interruptions;

static void (*vtl1_on_call)(void);
static bool vtl1_has_devices;

static void vtl1_main(void)
{
    if (vtl1_assist.entry_reason == VTL_ENTRY_INTERRUPT) {
        vtl1_interruptions = vtl1_interruptions + 1;
        /* The pending interrupt comes behind the instruction after STI. */
        asm volatile("sti\n\tnop\n\tcli" : : : "memory");
        return;
    }
    ASSERT_EQ(vtl1_assist.entry_reason, VTL_ENTRY_CALL);
    if (!vtl1_has_devices) {
        apic_enable(X2APIC);
        stimer_set_config(0, ONE_SHOT_DIRECT(VTL1_VECTOR));
        vtl1_has_devices = true;
    }
    vtl1_on_call();
}

void vsm_initialize(void (*on_call)(void))
{
    stimer_initialize(VTL0_VECTOR);
    firings_record(VTL1_VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VTL0_VECTOR));
    hypercall_initialize();
    vtl1_on_call = on_call;
    vtl1_enable(vtl1_main);
}
