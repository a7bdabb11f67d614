#include "stimer.h"

#include "apic.h"
#include "firings.h"

void stimer_initialize(uint8_t vector)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_SYNIC | HV_ACCESS_SYNTHETIC_TIMERS | HV_ACCESS_FREQUENCIES,
                  HV_FREQUENCIES_AVAILABLE | HV_DIRECT_SYNTHETIC_TIMERS);
    apic_enable(X2APIC);
    firings_record(vector);
}

uint64_t stimer_start(uint32_t timer, uint64_t delay)
{
    uint64_t due = hv_reference_time() + delay;
    stimer_set_count(timer, due);
    return due;
}
