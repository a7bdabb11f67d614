/* VTL1 beside VTL0: turned on, called, returned from, interrupted into. TLFS, "Virtual Secure Mode". */
#pragma once

#include <stdint.h>

/* CPUID 0x40000003, EBX. */
#define HV_ACCESS_VSM (1u << 16)

enum vtl_entry_reason {
    VTL_ENTRY_CALL = 1,
    VTL_ENTRY_INTERRUPT = 2,
};

#define VINA_ENABLED (1ul << 8)
#define VINA_AUTO_RESET (1ul << 9)
#define VINA_AUTO_EOI (1ul << 10)

#define HV_VP_ASSIST_PAGE 0x40000073u
#define ASSIST_PAGE_ENABLED (1ul << 0)
#define APIC_ASSIST_NO_EOI (1u << 0)

/* HV_VP_ASSIST_PAGE, as far as a guest needs it here. */
struct vp_assist_page {
    uint32_t apic_assist;
    uint32_t reserved;
    uint32_t entry_reason;
    uint8_t vina_asserted;
    uint8_t reserved2[3];
    uint64_t return_rax; /* what VTL0's RAX and RCX are after a return */
    uint64_t return_rcx;
    uint8_t unused[4064];
};

/* VTL1's assist page. */
extern volatile struct vp_assist_page vtl1_assist;

/*
 * Enables VTL1 for the partition and on this VP, by hypercall. `body` is what VTL1 runs each time it is entered, with
 * interrupts off, on a stack of its own, VTL0's registers saved; when it returns, so does VTL1. The first entry sets up
 * VTL1's hypercall page and assist page before. hypercall_initialize comes first.
 */
void vtl1_enable(void (*body)(void));

/* Enters VTL1 from VTL0, and comes back when VTL1 returns: with the RAX that VTL1 put into its assist page. */
uint64_t vtl_call(void);
