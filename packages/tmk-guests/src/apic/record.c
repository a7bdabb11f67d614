#include "apic.h"

#include "../lib/apic.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"

volatile uint32_t taken;
volatile uint8_t taken_vectors[TAKEN_MAX];

static void on_interrupt(struct interrupt_frame *frame)
{
    uint32_t n = taken;
    if (n == TAKEN_MAX)
        PANIC("more than %u interrupts", n);
    taken_vectors[n] = (uint8_t)frame->vector;
    taken = n + 1;
    apic_eoi();
}

void record(uint8_t vector)
{
    interrupts_handle(vector, on_interrupt);
}

void expect_taken(uint32_t count)
{
    interrupts_on();
    for (uint32_t i = 0; i < 100; i++)
        asm volatile("");
    interrupts_off();
    ASSERT_EQ(taken, count);
}
