/* Timers of every kind: the local APIC's, and synthetic ones with an interrupt and with a message. */
#include "kernel.h"

#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x51
#define SINT 2
#define DELAY MILLISECONDS(2)
#define PERIOD MILLISECONDS(1)
#define TICKS 20
/* See apic_timer.c of the timer guests. */
#define ROUNDING MICROSECONDS(1)

static void stop_apic(void)
{
    apic_write(APIC_TIMER_INITIAL_COUNT, 0);
}

static void stop_synthetic(void)
{
    stimer_set_config(0, 0);
}

static uint32_t counts(uint64_t duration)
{
    return (uint32_t)(rdmsr(HV_APIC_FREQUENCY) * duration / SECONDS(1));
}

void test_timers(void)
{
    stimer_initialize(VECTOR);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR);
    uint64_t start = hv_reference_time();
    apic_write(APIC_TIMER_INITIAL_COUNT, counts(DELAY));
    expect_firings(1);
    ASSERT_NOT_EARLY(0, start + DELAY - ROUNDING);

    uint32_t expected = 1 + TICKS;
    firings_stop_at(expected, stop_apic);
    apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_PERIODIC);
    apic_write(APIC_TIMER_INITIAL_COUNT, counts(PERIOD));
    halt_until(&firings, expected);
    expect_quiet(expected, 3 * PERIOD);

    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    uint64_t due = stimer_start(0, DELAY);
    expect_firings(++expected);
    ASSERT_NOT_EARLY(expected - 1, due);

    expected += TICKS;
    firings_stop_at(expected, stop_synthetic);
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_PERIODIC | STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    stimer_set_count(0, PERIOD);
    halt_until(&firings, expected);
    expect_quiet(expected, 3 * PERIOD);

    synic_enable();
    synic_set_vector(SINT, VECTOR);
    stimer_set_config(1, STIMER_AUTO_ENABLE | STIMER_SINT(SINT));
    due = stimer_start(1, DELAY);
    halt_until(&firings, ++expected);
    const volatile struct hv_timer_message *message = synic_message(SINT);
    ASSERT_EQ(message->type, HV_MESSAGE_TIMER_EXPIRED);
    ASSERT_EQ(message->timer_index, 1);
    ASSERT_EQ(message->expiration_time, due);
    synic_free_message(SINT);
    tmk_log("timers: %u interrupts", firings);
}
