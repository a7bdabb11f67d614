/* Tests that need more virtual time than a run has by default: --timeout 130. */
#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/interrupts.h"
#include "../lib/stimer.h"
#include "../lib/ticks.h"
#include "../lib/tmk.h"
#include "../lib/vps.h"
#include "../lib/wait.h"

#define VECTOR 0x58
#define TWO_MINUTES SECONDS(120)
#define TEN_SECONDS_OF_TICKS 10000

static uint64_t start_far_ahead(void)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    return stimer_start(0, TWO_MINUTES);
}

/* Nothing the guest does meanwhile is an exit. */
TMK_TEST(long, oneshot_spinning)
{
    uint64_t due = start_far_ahead();
    bool fired = spin_until(&firings, 1, due + SECONDS(5));
    if (!fired)
        PANIC("a one-shot two minutes ahead has not fired five seconds after its time");
    ASSERT_NOT_EARLY(0, due);
    tmk_log("fired after two minutes");
}

TMK_TEST(long, oneshot_halted)
{
    uint64_t due = start_far_ahead();
    ASSERT_EQ(halt_until(&firings, 1), 1);
    ASSERT_NOT_EARLY(0, due);
    tmk_log("fired after two minutes");
}

static volatile uint32_t ticks;
static uint32_t enough;

static void on_tick(struct interrupt_frame *frame)
{
    (void)frame;
    if (++ticks == enough)
        stimer_set_config(0, 0);
    apic_eoi();
}

/* A guest with nothing to do, at 1000 Hz. */
static void idle_for(uint32_t milliseconds)
{
    enough = milliseconds;
    stimer_initialize(VECTOR);
    interrupts_handle(VECTOR, on_tick);
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_PERIODIC | STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    uint64_t start = hv_reference_time();
    stimer_set_count(0, MILLISECONDS(1));
    ASSERT_LE(halt_until(&ticks, enough), enough);
    ASSERT(hv_reference_time() - start >= MILLISECONDS((uint64_t)milliseconds));
    tmk_log("%u ticks", ticks);
}

/* --timeout 70. */
TMK_TEST(long, idle_minute)
{
    idle_for(60 * 1000);
}

/* --timeout 3700. */
TMK_TEST(long, idle_hour)
{
    idle_for(60 * 60 * 1000);
}

/* Four VPs at 1000 Hz for ten seconds: --vps 4. */
TMK_TEST(long, ticks_on_all_vps)
{
    if (!vps_at_least(2))
        return;
    ticks_on_every_vp(TEN_SECONDS_OF_TICKS, vp_start_by_hypercall);
}
