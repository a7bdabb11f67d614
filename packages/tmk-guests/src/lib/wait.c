#include "wait.h"

#include "hyperv.h"
#include "x86.h"

/* How many rounds of a loop pass between two looks at the clock: RDTSC is far dearer than a round. */
#define ROUNDS_WAITING 5000
#define ROUNDS_PASSING_TIME 1000

bool spin_until(const volatile uint32_t *counter, uint32_t target, uint64_t limit)
{
    bool reached = false;
    interrupts_on();
    do {
        for (uint32_t i = 0; i < ROUNDS_WAITING && !reached; i++)
            reached = *counter >= target;
    } while (!reached && hv_reference_time() < limit);
    interrupts_off();
    return reached;
}

void spin_for(uint64_t duration)
{
    uint64_t end = hv_reference_time() + duration;
    interrupts_on();
    do {
        for (uint32_t i = 0; i < ROUNDS_PASSING_TIME; i++)
            asm volatile("");
    } while (hv_reference_time() < end);
    interrupts_off();
}

uint32_t halt_until(const volatile uint32_t *counter, uint32_t target)
{
    uint32_t wakes = 0;
    while (*counter < target) {
        halt_once();
        wakes++;
    }
    return wakes;
}
