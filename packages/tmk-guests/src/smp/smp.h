/* What the tests of several VPs have in common. */
#pragma once

#include <stdint.h>

#include "../lib/vps.h"

/* Features, hypercall page, and this VP's APIC in x2APIC mode. */
void smp_initialize(void);

/* Starts every other VP in `body`, behind apic_enable(X2APIC). */
void others_start(vp_start *start, void (*body)(void));

/* A VP says that it has come so far; the first waits for all others to have. */
void vp_arrive(void);
void others_arrive(void);

/* Waits until the counter has the value, spinning with interrupts on, and fails if it never does. */
void expect_count(const volatile uint32_t *counter, uint32_t value);
