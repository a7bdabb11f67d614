/* What a timer test saw: each interrupt's vector and time, in the order they came. */
#pragma once

#include <stdint.h>

#include "hyperv.h"

#define FIRINGS_MAX 1024

/* How long a test waits for an interrupt that must come, in 100 ns of reference time. Late is no failure. */
#define PATIENCE SECONDS(2)

/* Interrupts so far. */
extern volatile uint32_t firings;

/* Records the interrupts of a vector; the handler reads the TSC and sends the EOI, nothing else. */
void firings_record(uint8_t vector);

/* Has `stop` called, in the handler, when the count reaches `target`: no later tick can slip in. */
void firings_stop_at(uint32_t target, void (*stop)(void));

/* Vector and reference time (100 ns) of interrupt n, from 0. */
uint8_t firing_vector(uint32_t n);
uint64_t firing_time(uint32_t n);

/* Spins until `count` interrupts have come in all, and fails if they do not. */
void expect_firings(uint32_t count);

/* Spins for a while and fails if the count is not, or does not stay, as given. */
void expect_quiet(uint32_t count, uint64_t duration);

/* Asserts that interrupt n did not come before its due time. */
#define ASSERT_NOT_EARLY(n, due) ASSERT_COMPARISON("interrupt " #n " not before " #due, firing_time(n), >=, due)
