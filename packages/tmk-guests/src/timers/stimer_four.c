/* All four timers of a VTL at once. */
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"

#define TIMERS 4
#define STEP MILLISECONDS(5)

/* A priority class each, so that none waits behind another's service. */
static const uint8_t vectors[TIMERS] = {0x45, 0x56, 0x67, 0x78};

/* The n-th to fire; not the order of their indexes, nor of their priorities, nor of their starts. */
static const uint8_t firing_order[TIMERS] = {2, 0, 3, 1};

TMK_TEST(timers, stimer_four)
{
    stimer_initialize(vectors[0]);
    for (uint32_t timer = 0; timer < TIMERS; timer++) {
        firings_record(vectors[timer]);
        stimer_set_config(timer, ONE_SHOT_DIRECT(vectors[timer]));
    }

    /* One due time each: the last to fire starts first, so that each start brings the next due time nearer. */
    uint64_t due[TIMERS];
    uint64_t base = hv_reference_time() + STEP;
    for (uint32_t n = TIMERS; n-- > 0;) {
        due[n] = base + n * STEP;
        stimer_set_count(firing_order[n], due[n]);
    }
    expect_firings(TIMERS);
    for (uint32_t n = 0; n < TIMERS; n++) {
        ASSERT_EQ(firing_vector(n), vectors[firing_order[n]]);
        ASSERT_NOT_EARLY(n, due[n]);
    }

    /* One due time for all: each fires once. */
    uint64_t common = hv_reference_time() + STEP;
    for (uint32_t timer = 0; timer < TIMERS; timer++)
        stimer_set_count(timer, common);
    expect_firings(2 * TIMERS);
    for (uint32_t timer = 0; timer < TIMERS; timer++) {
        uint32_t times = 0;
        for (uint32_t n = TIMERS; n < 2 * TIMERS; n++) {
            ASSERT_NOT_EARLY(n, common);
            times += firing_vector(n) == vectors[timer];
        }
        ASSERT_EQ(times, 1);
    }
    expect_quiet(2 * TIMERS, 2 * STEP);
    tmk_log("four timers in order, then four at one time");
}
