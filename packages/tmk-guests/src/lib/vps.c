#include "vps.h"

#include <stddef.h>

#include "apic.h"
#include "hypercall.h"
#include "hyperv.h"
#include "ipi.h"
#include "tmk.h"
#include "x86.h"

#define CPUID_FEATURES 1
#define LOGICAL_PROCESSORS(ebx) ((ebx) >> 16 & 0xff)

#define STACK_SIZE 4096
#define EFER_LMA (1ul << 10)

/* Where the start-up code is copied to: real mode reaches the first MiB, and a SIPI names a page of it. */
#define STARTUP_PAGE 8
#define STARTUP_ADDRESS (STARTUP_PAGE * 4096ul)

/* startup.S: the code, and at its end the words that say where to go. */
struct startup_words {
    uint32_t cr3, efer, stack, entry;
    struct hv_table_image {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr, idtr;
} __attribute__((packed));

extern const uint8_t startup_code[], startup_code_end[], startup_words[];

static uint8_t stacks[VPS_MAX][STACK_SIZE] __attribute__((aligned(STACK_SIZE)));
static void (*volatile bodies[VPS_MAX])(void);
static volatile uint32_t started[VPS_MAX];

uint32_t vp_count(void)
{
    uint32_t count = LOGICAL_PROCESSORS(cpuid(CPUID_FEATURES, 0).ebx);
    return count < VPS_MAX ? count : VPS_MAX;
}

bool vps_at_least(uint32_t needed)
{
    if (vp_count() >= needed)
        return true;
    tmk_log("nothing to do: needs %u VPs", needed);
    return false;
}

uint32_t vp_here(void)
{
    uint64_t at = (uint64_t)__builtin_frame_address(0) - (uint64_t)stacks;
    return at < sizeof(stacks) ? (uint32_t)(at / STACK_SIZE) : 0;
}

static void run_body(void)
{
    uint32_t vp = vp_here();
    started[vp] = 1;
    bodies[vp]();
    for (;;)
        asm volatile("cli\n\thlt" : : : "memory");
}

/* A return address of zero lies on the stack, as after a call. */
static void *stack_of(uint32_t vp)
{
    return &stacks[vp][STACK_SIZE - 16];
}

void vp_start_by_hypercall(uint32_t vp, void (*body)(void))
{
    ASSERT_LT(vp, VPS_MAX);
    bodies[vp] = body;
    struct hv_start_input input __attribute__((aligned(16))) = {.partition = HV_PARTITION_SELF, .vp = vp};
    input.context = hv_context_like_this(run_body, stack_of(vp));
    ASSERT_EQ(hypercall(HVCALL_START_VP, &input, NULL), HV_STATUS_SUCCESS);
}

void vp_start_by_sipi(uint32_t vp, void (*body)(void))
{
    ASSERT_LT(vp, VPS_MAX);
    bodies[vp] = body;
    for (uint64_t i = 0; startup_code + i < startup_code_end; i++)
        *(volatile uint8_t *)(STARTUP_ADDRESS + i) = startup_code[i];
    struct hv_vp_context context = hv_context_like_this(run_body, stack_of(vp));
    *(volatile struct startup_words *)(STARTUP_ADDRESS + (uint64_t)(startup_words - startup_code)) = (struct startup_words){
        .cr3 = (uint32_t)context.cr3,
        .efer = (uint32_t)(context.efer & ~EFER_LMA),
        .stack = (uint32_t)context.rsp,
        .entry = (uint32_t)context.rip,
        .gdtr = {context.gdtr.limit, context.gdtr.base},
        .idtr = {context.idtr.limit, context.idtr.base},
    };

    ipi_send(ICR_INIT | ICR_ASSERT, vp);
    ipi_send(ICR_STARTUP | ICR_ASSERT | STARTUP_PAGE, vp);
    uint64_t limit = hv_reference_time() + SECONDS(1);
    while (!started[vp])
        ASSERT_LT(hv_reference_time(), limit);
}
