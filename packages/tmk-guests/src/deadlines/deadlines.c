/*
 * Deadlines that are armed while something happens: what each costs in exits is for the host to count, so every test
 * does one thing, often.
 */
#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/interrupts.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x59
#define HV_GUEST_IDLE 0x400000f0u
#define HV_ACCESS_GUEST_IDLE (1u << 10)

#define DELAY MILLISECONDS(5)
#define TIMES 20

static void initialize(void)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
}

/* HLT with a deadline ahead: each HLT returns once, for the timer. */
TMK_TEST(deadlines, halted)
{
    initialize();
    for (uint32_t n = 0; n < TIMES; n++) {
        uint64_t due = stimer_start(0, DELAY);
        ASSERT_EQ(halt_until(&firings, n + 1), 1);
        ASSERT_NOT_EARLY(n, due);
    }
    tmk_log("woken %u times", firings);
}

/*
 * The same by the guest idle register, whose read returns when an interrupt has come (TLFS, "Guest Idle"). What it reads
 * means nothing: a kernel that finishes the read leaves the registers alone (mshv_vtl).
 */
TMK_TEST(deadlines, guest_idle)
{
    initialize();
    ASSERT(cpuid(0x40000003, 0).eax & HV_ACCESS_GUEST_IDLE);
    for (uint32_t n = 0; n < TIMES; n++) {
        uint64_t due = stimer_start(0, DELAY);
        interrupts_on();
        while (firings == n)
            rdmsr(HV_GUEST_IDLE);
        interrupts_off();
        ASSERT_EQ(firings, n + 1);
        ASSERT_NOT_EARLY(n, due);
    }
    tmk_log("woken %u times", firings);
}

/* What the read gives is 0 where user mode finishes it (openvmm). Registers left alone would hold what they held. */
TMK_TEST(deadlines, guest_idle_reads_zero)
{
    initialize();
    stimer_start(0, DELAY);
    uint64_t value = 1; /* in RAX and RDX before */
    interrupts_on();
    struct fault fault = try_rdmsr(HV_GUEST_IDLE, &value);
    interrupts_off();
    ASSERT(!fault.taken);
    ASSERT_EQ(value, 0);
    ASSERT_EQ(firings, 1);
    tmk_log("read 0");
}

/* After its expiry nothing is armed anew, and the guest runs on for a long time: the old deadline must not come again. */
TMK_TEST(deadlines, stale)
{
    initialize();
    stimer_start(0, DELAY);
    expect_firings(1);
    expect_quiet(1, SECONDS(1));
    tmk_log("fired once");
}

/* The due time moves to and fro while the guest runs; it fires once, at the last. */
static void move(uint64_t first_delay, uint64_t second_delay)
{
    initialize();
    uint64_t due = 0;
    for (uint32_t n = 0; n < TIMES; n++) {
        due = stimer_start(0, n % 2 ? second_delay : first_delay);
        spin_for(MICROSECONDS(100));
        ASSERT_EQ(firings, 0);
    }
    expect_firings(1);
    ASSERT_NOT_EARLY(0, due);
    expect_quiet(1, SECONDS(1));
}

TMK_TEST(deadlines, moved_earlier)
{
    move(MILLISECONDS(200), MILLISECONDS(50));
    tmk_log("fired once, at the earlier time");
}

TMK_TEST(deadlines, moved_later)
{
    move(MILLISECONDS(50), MILLISECONDS(200));
    tmk_log("fired once, at the later time");
}

/* Due times already over, spinning: each fires at once, by the write's own exit. */
TMK_TEST(deadlines, past)
{
    initialize();
    spin_for(DELAY); /* reference time begins with the machine: there must be a past */
    for (uint32_t n = 0; n < TIMES; n++) {
        stimer_set_count(0, hv_reference_time() - DELAY);
        expect_firings(n + 1);
    }
    expect_quiet(TIMES, SECONDS(1));
    tmk_log("fired %u times, at once", firings);
}

/* The timer is cancelled while its deadline is armed, and the guest runs, then halts, past it. */
TMK_TEST(deadlines, cancelled)
{
    initialize();
    for (uint32_t n = 0; n < TIMES; n++) {
        stimer_start(0, DELAY);
        spin_for(MILLISECONDS(1));
        stimer_set_count(0, 0);
        expect_quiet(n, 2 * DELAY);
        stimer_start(0, 2 * DELAY);
        ASSERT_EQ(halt_until(&firings, n + 1), 1);
    }
    tmk_log("cancelled %u times, fired %u times", TIMES, firings);
}

/* Exits for other reasons while a deadline is armed: what is armed stays armed, and need not be armed anew. */
TMK_TEST(deadlines, many_exits)
{
    initialize();
    uint64_t due = stimer_start(0, MILLISECONDS(100));
    interrupts_on();
    while (firings == 0)
        cpuid(0, 0);
    interrupts_off();
    ASSERT_NOT_EARLY(0, due);
    expect_quiet(1, DELAY);
    tmk_log("fired once among many exits");
}
