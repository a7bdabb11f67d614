#include "firings.h"

#include <stddef.h>

#include "apic.h"
#include "interrupts.h"
#include "tmk.h"
#include "wait.h"
#include "x86.h"

volatile uint32_t firings;

static struct {
    uint64_t tsc;
    uint64_t vector;
} record[FIRINGS_MAX];

static uint32_t stop_target;
static void (*stop_action)(void);

static void on_timer(struct interrupt_frame *frame)
{
    uint64_t tsc = rdtsc();
    uint32_t n = firings;
    if (n == FIRINGS_MAX)
        PANIC("more than %u interrupts", n);
    record[n].tsc = tsc;
    record[n].vector = frame->vector;
    n++;
    if (n == stop_target)
        stop_action();
    firings = n;
    apic_eoi();
}

void firings_record(uint8_t vector)
{
    interrupts_handle(vector, on_timer);
}

void firings_stop_at(uint32_t target, void (*stop)(void))
{
    stop_action = stop;
    stop_target = target;
}

uint8_t firing_vector(uint32_t n)
{
    ASSERT_LT(n, firings);
    return (uint8_t)record[n].vector;
}

uint64_t firing_time(uint32_t n)
{
    ASSERT_LT(n, firings);
    return hv_reference_time_at(record[n].tsc);
}

void expect_firings(uint32_t count)
{
    uint64_t limit = hv_reference_time() + PATIENCE;
    if (!spin_until(&firings, count, limit))
        PANIC("%u interrupts came of %u", firings, count);
    ASSERT_EQ(firings, count);
}

void expect_quiet(uint32_t count, uint64_t duration)
{
    ASSERT_EQ(firings, count);
    spin_for(duration);
    ASSERT_EQ(firings, count);
}
