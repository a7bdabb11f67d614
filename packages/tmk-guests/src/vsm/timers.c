/* Timers of two VTLs on one VP, which has one deadline in the hardware. */
#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/vtl.h"
#include "../lib/wait.h"
#include "vsm.h"

#define PERIOD MILLISECONDS(1)
#define TICKS 100

/* What the next call asks VTL1 to do: start its timer with this count, periodic or not; 0 stops it. */
static volatile uint64_t asked_count;
static volatile bool asked_periodic;

static void set_timer(void)
{
    uint64_t mode = asked_periodic ? STIMER_PERIODIC : 0;
    stimer_set_config(0, ONE_SHOT_DIRECT(VTL1_VECTOR) | mode);
    stimer_set_count(0, asked_count);
}

static void vtl1_timer(uint64_t count, bool periodic)
{
    asked_count = count;
    asked_periodic = periodic;
    vtl_call();
}

/* Called in the handler of VTL1's last tick, and so in VTL1. */
static void stop_vtl1_timer(void)
{
    stimer_set_config(0, 0);
}

static uint64_t start_ticks(void)
{
    vsm_initialize(set_timer);
    firings_stop_at(TICKS, stop_vtl1_timer);
    uint64_t start = hv_reference_time();
    vtl1_timer(PERIOD, true);
    return start;
}

static void check_ticks(uint64_t start)
{
    ASSERT_EQ(firings, TICKS);
    ASSERT_EQ(vtl1_interruptions, TICKS);
    for (uint32_t n = 0; n < TICKS; n++) {
        ASSERT_EQ(firing_vector(n), VTL1_VECTOR);
        ASSERT_NOT_EARLY(n, start + (n + 1) * PERIOD);
    }
}

/* VTL0 never gives the processor up, and has its interrupts off: VTL1's come all the same (TLFS, "VTL Entry"). */
TMK_TEST(vsm, preempts_busy)
{
    uint64_t start = start_ticks();
    uint64_t limit = start + PATIENCE;
    uint64_t rounds = 0;
    while (firings < TICKS) {
        if (++rounds % 1000 == 0)
            ASSERT_LT(hv_reference_time(), limit);
    }
    check_ticks(start);
    tmk_log("VTL1 ticked %u times while VTL0 ran with interrupts off", TICKS);
}

/* A halted VTL0 stays halted while VTL1 takes its ticks: only an interrupt of its own ends its HLT. */
TMK_TEST(vsm, preempts_halt)
{
    uint64_t start = start_ticks();
    uint64_t due = stimer_start(0, (TICKS + 50) * PERIOD);
    ASSERT_EQ(halt_until(&firings, TICKS + 1), 1);
    ASSERT_EQ(firing_vector(TICKS), VTL0_VECTOR);
    ASSERT_NOT_EARLY(TICKS, due);
    ASSERT_EQ(firings, TICKS + 1);
    ASSERT_EQ(vtl1_interruptions, TICKS);
    for (uint32_t n = 0; n < TICKS; n++)
        ASSERT_NOT_EARLY(n, start + (n + 1) * PERIOD);
    tmk_log("VTL1 ticked %u times in one HLT of VTL0", TICKS);
}

/* One-shots of both VTLs: VTL1's and VTL0's due so long from now. The earlier one hides the later until it has fired. */
static void expect_order(uint64_t vtl1_delay, uint64_t vtl0_delay, bool halted)
{
    uint32_t first = firings;
    uint64_t now = hv_reference_time();
    uint64_t vtl1_due = now + vtl1_delay, vtl0_due = now + vtl0_delay;
    vtl1_timer(vtl1_due, false);
    stimer_set_count(0, vtl0_due);
    bool vtl1_first = vtl1_due <= vtl0_due;
    if (halted)
        while (firings < first + 2)
            halt_once();
    else
        expect_firings(first + 2);
    ASSERT_EQ(firing_vector(first), vtl1_first ? VTL1_VECTOR : VTL0_VECTOR);
    ASSERT_EQ(firing_vector(first + 1), vtl1_first ? VTL0_VECTOR : VTL1_VECTOR);
    ASSERT_NOT_EARLY(first, vtl1_first ? vtl1_due : vtl0_due);
    ASSERT_NOT_EARLY(first + 1, vtl1_first ? vtl0_due : vtl1_due);
}

TMK_TEST(vsm, both_timers_busy)
{
    vsm_initialize(set_timer);
    expect_order(MILLISECONDS(5), MILLISECONDS(10), false);
    expect_order(MILLISECONDS(10), MILLISECONDS(5), false);
    expect_order(MILLISECONDS(5), MILLISECONDS(5), false);
    expect_quiet(6, MILLISECONDS(20));
    tmk_log("timers of both VTLs, each in its turn");
}

/* The same with VTL0 halted, which VTL1's timer does not wake. */
TMK_TEST(vsm, both_timers_halted)
{
    vsm_initialize(set_timer);
    expect_order(MILLISECONDS(5), MILLISECONDS(10), true);
    expect_quiet(2, MILLISECONDS(20));
    tmk_log("timers of both VTLs, VTL0 halted");
}

/* VTL1's timer moves away and comes back, and VTL0's stays where it is. */
TMK_TEST(vsm, one_timer_cancelled)
{
    vsm_initialize(set_timer);
    uint64_t due = stimer_start(0, MILLISECONDS(20));
    vtl1_timer(hv_reference_time() + MILLISECONDS(10), false);
    spin_for(MILLISECONDS(1));
    vtl1_timer(0, false);
    expect_firings(1);
    ASSERT_EQ(firing_vector(0), VTL0_VECTOR);
    ASSERT_NOT_EARLY(0, due);
    expect_quiet(1, MILLISECONDS(20));
    ASSERT_EQ(vtl1_interruptions, 0);
    tmk_log("VTL0's timer fired once, VTL1's was cancelled");
}
