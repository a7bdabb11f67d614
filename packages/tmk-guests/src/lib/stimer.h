/* What the synthetic timer tests have in common. */
#pragma once

#include <stdint.h>

#include "hyperv.h"

/* Direct mode and one-shot: a write of the count, the absolute due time, starts it (TLFS, auto-enable). */
#define ONE_SHOT_DIRECT(vector) (STIMER_AUTO_ENABLE | STIMER_DIRECT | STIMER_APIC_VECTOR(vector))

/* Checks the features, enters x2APIC mode and records the interrupts of `vector`. */
void stimer_initialize(uint8_t vector);

/* Starts a one-shot timer `delay` (100 ns) from now and returns its due time. Its configuration must be set. */
uint64_t stimer_start(uint32_t timer, uint64_t delay);
