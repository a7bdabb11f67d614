#include "smp.h"

#include "../lib/apic.h"
#include "../lib/hypercall.h"
#include "../lib/hyperv.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define PATIENCE SECONDS(5)

static void (*start_body)(void);
static volatile uint32_t arrived[VPS_MAX];

void smp_initialize(void)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_SYNIC | HV_ACCESS_SYNTHETIC_TIMERS | HV_ACCESS_VP_INDEX | HV_ACCESS_FREQUENCIES,
                  HV_FREQUENCIES_AVAILABLE | HV_DIRECT_SYNTHETIC_TIMERS);
    hypercall_initialize();
    apic_enable(X2APIC);
}

static void begin(void)
{
    apic_enable(X2APIC);
    start_body();
}

void others_start(vp_start *start, void (*body)(void))
{
    start_body = body;
    for (uint32_t vp = 1; vp < vp_count(); vp++)
        start(vp, begin);
}

void vp_arrive(void)
{
    arrived[vp_here()] = arrived[vp_here()] + 1;
}

void others_arrive(void)
{
    static uint32_t expected;
    expected++;
    uint64_t limit = hv_reference_time() + PATIENCE;
    for (uint32_t vp = 1; vp < vp_count(); vp++)
        while (arrived[vp] < expected)
            ASSERT_LT(hv_reference_time(), limit);
}

void expect_count(const volatile uint32_t *counter, uint32_t value)
{
    ASSERT(spin_until(counter, value, hv_reference_time() + PATIENCE));
    ASSERT_EQ(*counter, value);
}
