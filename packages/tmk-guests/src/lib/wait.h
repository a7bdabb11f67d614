/* Waiting, spinning or halted. Interrupts are on only while a wait lasts; every test keeps them off elsewhere. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Spins until the counter has reached the target, or until the reference time `limit` (100 ns) has passed; true if it
 * was reached. The loop is plain loads and branches: it makes no exit, and looks at the clock only now and then.
 */
bool spin_until(const volatile uint32_t *counter, uint32_t target, uint64_t limit);

/* Spins for at least the given time, in 100 ns. */
void spin_for(uint64_t duration);

/* Halts until the counter has reached the target; returns how many times HLT returned. The host's timeout bounds it. */
uint32_t halt_until(const volatile uint32_t *counter, uint32_t target);
