/* What the APIC tests have in common: the interrupts taken, in order. */
#pragma once

#include <stdint.h>

#define TAKEN_MAX 16

extern volatile uint32_t taken;
extern volatile uint8_t taken_vectors[TAKEN_MAX];

/* Records the interrupts of a vector, and ends each. */
void record(uint8_t vector);

/* Opens the interrupt window for a moment, and checks how many have been taken in all. */
void expect_taken(uint32_t count);
