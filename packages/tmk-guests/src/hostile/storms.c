/* More interrupts than a guest can take. */
#include "../lib/apic.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/x86.h"
#include "hostile.h"

#define STORM_VECTOR 0x60
#define STORM_LENGTH 2000

static volatile uint32_t taken;

static void on_storm(struct interrupt_frame *frame)
{
    (void)frame;
    taken = taken + 1;
    apic_eoi();
}

static void on_self_sending(struct interrupt_frame *frame)
{
    (void)frame;
    apic_eoi();
    apic_send_self_register(STORM_VECTOR);
}

static void on_self_sending_for_a_while(struct interrupt_frame *frame)
{
    on_storm(frame);
    if (taken < STORM_LENGTH)
        apic_send_self_register(STORM_VECTOR);
}

static void begin(interrupt_handler *handler)
{
    apic_enable(X2APIC);
    interrupts_handle(STORM_VECTOR, handler);
    interrupts_on();
}

TMK_TEST(hostile, ipi_storm)
{
    begin(on_self_sending_for_a_while);
    apic_send_self_register(STORM_VECTOR);
    interrupts_off();
    ASSERT_EQ(taken, STORM_LENGTH);
    tmk_log("alive after %u IPIs from their own handler", taken);
}

TMK_TEST(hostile, ipi_storm_endless)
{
    begin(on_self_sending);
    apic_send_self_register(STORM_VECTOR);
}

/* Interrupts stay on inside the handler: each frame lies on the last, down the stack and through the image below it. */
static void on_nested(struct interrupt_frame *frame)
{
    on_storm(frame);
    interrupts_on();
    apic_send_self_register(STORM_VECTOR);
}

HOSTILE_FAULT(ipi_storm_nested)
{
    begin(on_nested);
    apic_send_self_register(STORM_VECTOR);
}

static void start_timer(uint32_t timer, uint64_t period)
{
    stimer_set_config(timer, STIMER_ENABLED | STIMER_PERIODIC | STIMER_DIRECT | STIMER_APIC_VECTOR(STORM_VECTOR));
    stimer_set_count(timer, period);
}

static void on_timer_for_a_while(struct interrupt_frame *frame)
{
    on_storm(frame);
    if (taken == STORM_LENGTH)
        stimer_set_config(0, 0);
}

TMK_TEST(hostile, stimer_storm)
{
    hv_initialize(HV_ACCESS_SYNTHETIC_TIMERS, HV_DIRECT_SYNTHETIC_TIMERS);
    begin(on_timer_for_a_while);
    start_timer(0, MICROSECONDS(50));
    while (taken < STORM_LENGTH)
        ;
    interrupts_off();
    tmk_log("alive after %u ticks of 50 us", STORM_LENGTH);
}

/* A period of 100 ns is over before the guest is entered: it never gets to run again, as under the reference. */
TMK_TEST(hostile, stimer_storm_starving)
{
    hv_initialize(HV_ACCESS_SYNTHETIC_TIMERS, HV_DIRECT_SYNTHETIC_TIMERS);
    begin(on_storm);
    for (uint32_t timer = 0; timer < 4; timer++)
        start_timer(timer, 1);
    for (;;)
        ;
}

/* The same, and interrupts are off: nobody takes them. */
TMK_TEST(hostile, stimer_storm_unheard)
{
    hv_initialize(HV_ACCESS_SYNTHETIC_TIMERS, HV_DIRECT_SYNTHETIC_TIMERS);
    apic_enable(X2APIC);
    for (uint32_t timer = 0; timer < 4; timer++)
        start_timer(timer, 1);
    for (;;)
        ;
}

/* Every delivery mode, level and shorthand there is, reserved ones included. */
TMK_TEST(hostile, icr_every_mode)
{
    apic_enable(X2APIC);
    for (uint32_t bits = 0; bits < 1u << 9; bits++) {
        uint32_t low = (bits & 7) << 8 | (bits >> 3 & 1) << 11 | (bits >> 4 & 1) << 14 | (bits >> 5 & 1) << 15 |
                       (bits >> 6 & 3) << 18 | ((bits >> 8) ? STORM_VECTOR : 0);
        uint32_t mode = bits & 7;
        if (mode == 4 || mode == 5) /* NMI and INIT to oneself: their own tests */
            continue;
        try_wrmsr(0x830, low);
        try_wrmsr(0x830, (uint64_t)UINT32_MAX << 32 | low);
        try_wrmsr(0x830, (uint64_t)1 << 32 | low);
    }
    tmk_log("alive after every kind of IPI");
}

HOSTILE_FAULT(ipi_self_init)
{
    apic_enable(X2APIC);
    try_wrmsr(0x830, 0x4500 | APIC_ICR_SELF);
    try_wrmsr(0x830, 0x4500);
    tmk_log("alive after INIT to itself");
}
