/* The reference counter. TLFS, timers chapter. */
#include "../lib/hyperv.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define READINGS 100

/* Counter and scaled TSC are both truncated to 100 ns, each by its own rule. */
#define ROUNDING 1

/*
 * The counter never goes back, and is the TSC at 10^7 / frequency: a reading lies between the scaled TSC before it and
 * the one after it, and over 20 ms the two advance alike.
 */
TMK_TEST(timers, ref_counter)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE);

    uint64_t first = 0, last = 0;
    uint64_t started = hv_reference_time();
    for (uint32_t n = 0; n < READINGS; n++) {
        uint64_t before = hv_reference_time();
        uint64_t counter = rdmsr(HV_TIME_REF_COUNT);
        uint64_t after = hv_reference_time();
        ASSERT_GE(counter + ROUNDING, before);
        ASSERT_LE(counter, after + ROUNDING);
        ASSERT_GE(counter, last);
        if (n == 0)
            first = counter;
        last = counter;
        spin_for(MICROSECONDS(200));
    }
    uint64_t elapsed_at_most = hv_reference_time() - started;
    ASSERT_GE(last - first, (READINGS - 1) * MICROSECONDS(200) - ROUNDING);
    ASSERT_LE(last - first, elapsed_at_most + ROUNDING);
    tmk_log("%u readings, none back in time, all with the TSC", READINGS);
}
