/* The local APIC's timer. SDM volume 3, 11.5.4. */
#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x61

/*
 * The emulation truncates the times it computes with to 100 ns, so an expiry may look early by a unit or two, and each
 * read of the current count may add one. A microsecond covers that and nothing else.
 */
#define ROUNDING MICROSECONDS(1)

#define ONE_SHOT_DURATION MILLISECONDS(5)

#define PERIOD MILLISECONDS(1)
#define TICKS_SPINNING 50
#define TICKS 100

static uint32_t timer_counts(uint64_t duration, uint32_t divider)
{
    return (uint32_t)(rdmsr(HV_APIC_FREQUENCY) / divider * duration / SECONDS(1));
}

static void initialize(enum apic_mode mode)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE);
    apic_enable(mode);
    firings_record(VECTOR);
}

/* Once spinning, once halted, through the MMIO page. */
TMK_TEST(timers, apic_oneshot)
{
    initialize(XAPIC);
    uint32_t counts = timer_counts(ONE_SHOT_DURATION, 1);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR);

    uint64_t start = hv_reference_time();
    apic_write(APIC_TIMER_INITIAL_COUNT, counts);
    ASSERT_EQ(apic_read(APIC_TIMER_INITIAL_COUNT), counts);
    spin_for(MICROSECONDS(100));
    ASSERT_LT(apic_read(APIC_TIMER_CURRENT_COUNT), counts);
    expect_firings(1);
    ASSERT_NOT_EARLY(0, start + ONE_SHOT_DURATION - ROUNDING);
    ASSERT_EQ(apic_read(APIC_TIMER_CURRENT_COUNT), 0);
    expect_quiet(1, 2 * ONE_SHOT_DURATION);

    start = hv_reference_time();
    apic_write(APIC_TIMER_INITIAL_COUNT, counts);
    halt_until(&firings, 2);
    ASSERT_NOT_EARLY(1, start + ONE_SHOT_DURATION - ROUNDING);

    /* A count of zero stops a running timer. */
    apic_write(APIC_TIMER_INITIAL_COUNT, counts);
    apic_write(APIC_TIMER_INITIAL_COUNT, 0);
    expect_quiet(2, 2 * ONE_SHOT_DURATION);
    tmk_log("fired %u times, once a count", firings);
}

static void stop_apic_timer(void)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR);
    apic_write(APIC_TIMER_INITIAL_COUNT, 0);
}

/* The first half spinning, the second halted, through the MSRs. The phase is kept, so tick n is due at n periods. */
TMK_TEST(timers, apic_periodic)
{
    initialize(X2APIC);
    firings_stop_at(TICKS, stop_apic_timer);
    uint32_t counts = timer_counts(PERIOD, 16);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_16);
    apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | VECTOR);

    uint64_t start = hv_reference_time();
    apic_write(APIC_TIMER_INITIAL_COUNT, counts);
    ASSERT(spin_until(&firings, TICKS_SPINNING, start + PATIENCE));
    halt_until(&firings, TICKS);
    expect_quiet(TICKS, 5 * PERIOD);
    for (uint32_t n = 0; n < TICKS; n++)
        ASSERT_NOT_EARLY(n, start + (n + 1) * PERIOD - ROUNDING);
    tmk_log("%u ticks", firings);
}
