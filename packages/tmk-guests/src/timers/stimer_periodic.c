/* A guest that ticks at 1000 Hz, as Windows and Linux guests do: busy, idle, and by turns. */
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x53
#define PERIOD MILLISECONDS(1)
#define TICKS 1000
#define PHASE 50

_Static_assert(TICKS <= FIRINGS_MAX, "every tick is recorded");

static void stop_timer(void)
{
    stimer_set_config(0, 0);
}

static uint64_t start_timer(void)
{
    stimer_initialize(VECTOR);
    firings_stop_at(TICKS, stop_timer);
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_PERIODIC | STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    uint64_t start = hv_reference_time();
    stimer_set_count(0, PERIOD);
    return start;
}

/*
 * A period counts from the expiration before it, or from where that was noticed; either way tick n is never before n
 * periods. (Two ticks may lie closer than a period: the first may have been taken late.)
 */
static void check_ticks(uint64_t start)
{
    expect_quiet(TICKS, 3 * PERIOD);
    for (uint32_t n = 0; n < TICKS; n++)
        ASSERT_NOT_EARLY(n, start + (n + 1) * PERIOD);
    tmk_log("%u ticks", firings);
}

/* The guest never gives the processor up: what the timer costs here is the timer's own cost. */
TMK_TEST(timers, stimer_periodic_busy)
{
    uint64_t start = start_timer();
    ASSERT(spin_until(&firings, TICKS, start + SECONDS(5)));
    check_ticks(start);
}

/* The guest halts between ticks. Only an interrupt ends a HLT, so it wakes at most once a tick. */
TMK_TEST(timers, stimer_periodic_idle)
{
    uint64_t start = start_timer();
    uint32_t wakes = halt_until(&firings, TICKS);
    ASSERT_LE(wakes, TICKS);
    check_ticks(start);
}

/* Fifty ticks busy, fifty idle, and so on: a guest with work to do now and then. */
TMK_TEST(timers, stimer_periodic_mixed)
{
    uint64_t start = start_timer();
    for (uint32_t ticks = 0; ticks < TICKS; ticks += 2 * PHASE) {
        ASSERT(spin_until(&firings, ticks + PHASE, start + SECONDS(5)));
        ASSERT_LE(halt_until(&firings, ticks + 2 * PHASE), PHASE);
    }
    check_ticks(start);
}
