/* A tick whose timer is started anew each time, in the handler, as Linux does with a one-shot clock event device. */
#include "../lib/apic.h"
#include "../lib/interrupts.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x5c
#define PERIOD MILLISECONDS(1)
#define TICKS 200
#define PAUSE MICROSECONDS(100)

static volatile uint32_t ticks;
static volatile uint32_t early;
static uint64_t due;

static void on_tick(struct interrupt_frame *frame)
{
    (void)frame;
    if (hv_reference_time() < due)
        early = early + 1;
    ticks = ticks + 1;
    if (ticks < TICKS)
        due = stimer_start(0, PERIOD);
    apic_eoi();
}

static void start(void)
{
    stimer_initialize(VECTOR);
    interrupts_handle(VECTOR, on_tick);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    due = stimer_start(0, PERIOD);
}

static void finish(void)
{
    spin_for(5 * PERIOD);
    ASSERT_EQ(ticks, TICKS);
    ASSERT_EQ(early, 0);
    tmk_log("%u ticks", ticks);
}

TMK_TEST(deadlines, ticks_busy)
{
    start();
    ASSERT(spin_until(&ticks, TICKS, hv_reference_time() + SECONDS(2)));
    finish();
}

TMK_TEST(deadlines, ticks_halted)
{
    start();
    ASSERT_EQ(halt_until(&ticks, TICKS), TICKS);
    finish();
}

/* Ten exits a tick that have nothing to do with the timer: what is armed need not be armed anew for them. */
TMK_TEST(deadlines, ticks_among_exits)
{
    start();
    while (ticks < TICKS) {
        spin_for(PAUSE);
        cpuid(0, 0);
    }
    finish();
}
