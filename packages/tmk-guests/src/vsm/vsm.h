/* What the VTL1 tests have in common. */
#pragma once

#include <stdint.h>

#include "../lib/hyperv.h"

/* A vector a VTL, so that the record of firings tells whose timer it was. */
#define VTL0_VECTOR 0x52
#define VTL1_VECTOR 0x63

/*
 * Checks the features, enters x2APIC mode, records both VTLs' vectors, and turns VTL1 on. The first call into VTL1 gives
 * it an APIC in x2APIC mode and synthetic timer 0 in direct mode, one-shot; then, and at every later call, `on_call`
 * runs there. An entry by an interrupt takes the interrupt and returns.
 */
void vsm_initialize(void (*on_call)(void));

/* How often VTL1 has been entered by an interrupt. */
extern volatile uint32_t vtl1_interruptions;
