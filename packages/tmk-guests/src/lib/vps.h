/* The other virtual processors: how many, how they start, where code runs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VPS_MAX 8

/* How many VPs the machine has, up to VPS_MAX: logical processors of its one package (SDM, APM: CPUID leaf 1, EBX 23:16). */
uint32_t vp_count(void);

/*
 * True if the machine has at least `needed` VPs. Else it logs that and the test, which is about several, should return:
 * it has nothing to say on this machine.
 */
bool vps_at_least(uint32_t needed);

/* The VP this code runs on, known from its stack: no exit. */
uint32_t vp_here(void);

/*
 * Starts an application processor in 64-bit mode, in `body`, interrupts off; it halts for good when that returns.
 * By HvCallStartVirtualProcessor: hypercall_initialize comes first. By INIT and SIPI: apic_enable(X2APIC) comes first,
 * and the call waits until the VP has left the start-up code, of which there is one.
 */
typedef void vp_start(uint32_t vp, void (*body)(void));
vp_start vp_start_by_hypercall, vp_start_by_sipi;
