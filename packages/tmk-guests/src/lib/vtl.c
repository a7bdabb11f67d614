#include "vtl.h"

#include <stdbool.h>
#include <stddef.h>

#include "hypercall.h"
#include "hyperv.h"
#include "tmk.h"
#include "x86.h"

_Static_assert(offsetof(struct vp_assist_page, return_rax) == 16, "TLFS, HV_VP_VTL_CONTROL; vtl1.S");
_Static_assert(sizeof(struct vp_assist_page) == 4096, "TLFS, HV_VP_ASSIST_PAGE");

/* HV_REGISTER_VSM_CODE_PAGE_OFFSETS. */
#define CALL_OFFSET(offsets) ((offsets) & 0xfff)
#define RETURN_OFFSET(offsets) ((offsets) >> 12 & 0xfff)

/* An open source system, as in hyperv.c; each VTL says its own. */
#define VTL1_OS_ID 0xff00000000010001ul

#define STACK_SIZE 8192

struct enable_partition_input {
    uint64_t partition;
    uint8_t vtl;
    uint8_t flags;
    uint8_t reserved[6];
};

/* vtl1.S */
extern void vtl1_entry(void);
uint64_t vtl1_return_code;

volatile struct vp_assist_page vtl1_assist __attribute__((aligned(4096)));

static uint8_t vtl1_hypercall_page[4096] __attribute__((aligned(4096)));
static uint8_t stack[STACK_SIZE] __attribute__((aligned(16)));
static uint64_t vtl_call_code;
static void (*vtl1_body)(void);
static bool vtl1_set_up;

/* Called by vtl1.S at each entry of VTL1. */
void vtl1_run(void)
{
    if (!vtl1_set_up) {
        wrmsr(HV_GUEST_OS_ID, VTL1_OS_ID);
        hypercall_enable(vtl1_hypercall_page);
        wrmsr(HV_VP_ASSIST_PAGE, (uint64_t)&vtl1_assist | ASSIST_PAGE_ENABLED);
        vtl1_set_up = true;
    }
    vtl1_body();
}

void vtl1_enable(void (*body)(void))
{
    ASSERT(cpuid(0x40000003, 0).ebx & HV_ACCESS_VSM);
    struct enable_partition_input partition __attribute__((aligned(16))) = {.partition = HV_PARTITION_SELF, .vtl = 1};
    ASSERT_EQ(hypercall(HVCALL_ENABLE_PARTITION_VTL, &partition, NULL), HV_STATUS_SUCCESS);

    uint64_t offsets = 0;
    ASSERT_EQ(hv_get_register(HV_REGISTER_VSM_CODE_PAGE_OFFSETS, &offsets), HV_STATUS_SUCCESS);
    uint64_t vtl0_page = rdmsr(HV_HYPERCALL) & ~HYPERCALL_PAGE_ENABLED;
    vtl_call_code = vtl0_page + CALL_OFFSET(offsets);
    vtl1_return_code = (uint64_t)vtl1_hypercall_page + RETURN_OFFSET(offsets);
    vtl1_body = body;

    struct hv_start_input vp __attribute__((aligned(16))) = {.partition = HV_PARTITION_SELF, .vp = 0, .vtl = 1};
    vp.context = hv_context_like_this(vtl1_entry, stack + STACK_SIZE);
    ASSERT_EQ(hypercall(HVCALL_ENABLE_VP_VTL, &vp, NULL), HV_STATUS_SUCCESS);
}

/* RCX holds the call's input, 0. The registers VTLs share come back as VTL1 leaves them: as they were, but for RAX and RCX. */
uint64_t vtl_call(void)
{
    uint64_t rax, rcx = 0;
    asm volatile("call *%2" : "=&a"(rax), "+c"(rcx) : "r"(vtl_call_code) : "memory", "cc");
    return rax;
}
