/* A timer whose due time changes while it runs, or has already passed. */
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x54
#define SOON MILLISECONDS(20)
#define LATER MILLISECONDS(60)

/* Between the two writes the guest runs on, so that the first due time is really armed. */
static void let_it_run(void)
{
    spin_for(MILLISECONDS(1));
}

TMK_TEST(timers, stimer_rearm_earlier)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    uint64_t later = stimer_start(0, LATER);
    let_it_run();
    uint64_t sooner = stimer_start(0, SOON);
    ASSERT_LT(sooner, later);

    expect_firings(1);
    ASSERT_NOT_EARLY(0, sooner);
    ASSERT_LT(firing_time(0), later);
    expect_quiet(1, 2 * LATER);
    tmk_log("fired once, at the earlier time");
}

TMK_TEST(timers, stimer_rearm_later)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    uint64_t sooner = stimer_start(0, SOON);
    let_it_run();
    uint64_t later = stimer_start(0, LATER);
    ASSERT_LT(hv_reference_time(), sooner);

    expect_firings(1);
    ASSERT_NOT_EARLY(0, later);
    expect_quiet(1, 2 * SOON);
    tmk_log("fired once, at the later time");
}

/* TLFS knows two ways: clearing the enable bit, and a count of zero. After both the timer still works. */
TMK_TEST(timers, stimer_cancel)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    stimer_start(0, SOON);
    let_it_run();
    stimer_set_config(0, 0);
    expect_quiet(0, 2 * SOON);

    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    stimer_start(0, SOON);
    let_it_run();
    stimer_set_count(0, 0);
    expect_quiet(0, 2 * SOON);

    uint64_t due = stimer_start(0, SOON);
    expect_firings(1);
    ASSERT_NOT_EARLY(0, due);
    expect_quiet(1, 2 * SOON);
    tmk_log("cancelled twice, then fired once");
}

/* Due times that are over when they are set: just now, long ago, and with the guest about to halt. */
TMK_TEST(timers, stimer_past)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));

    stimer_start(0, 0);
    expect_firings(1);

    stimer_set_count(0, 1);
    expect_firings(2);

    stimer_set_count(0, hv_reference_time() - MILLISECONDS(1));
    halt_until(&firings, 3);

    expect_quiet(3, 2 * SOON);
    tmk_log("fired %u times, once a start", firings);
}
