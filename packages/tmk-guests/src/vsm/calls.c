/* VTL1 turned on, called, and returned from. TLFS, "VTL Enablement", "VTL Call", "VTL Return". */
#include <stddef.h>

#include "../lib/hypercall.h"
#include "../lib/tmk.h"
#include "../lib/vtl.h"
#include "vsm.h"

#define CALLS 100

static volatile uint32_t calls;

static void count_call(void)
{
    calls = calls + 1;
    vtl1_assist.return_rax = calls * 3ul;
}

TMK_TEST(vsm, call_and_return)
{
    vsm_initialize(count_call);
    for (uint32_t n = 1; n <= CALLS; n++) {
        ASSERT_EQ(vtl_call(), n * 3ul);
        ASSERT_EQ(calls, n);
    }
    ASSERT_EQ(vtl1_interruptions, 0);
    tmk_log("%u calls, each answered in RAX", calls);
}

/* What may be done once may not be done twice, and VTL0 may not call what is not there. */
TMK_TEST(vsm, enabled_once)
{
    vsm_initialize(count_call);
    static const struct {
        uint64_t partition;
        uint8_t vtl;
        uint8_t reserved[7];
    } partition_again __attribute__((aligned(16))) = {.partition = HV_PARTITION_SELF, .vtl = 1};
    ASSERT_EQ(hypercall(HVCALL_ENABLE_PARTITION_VTL, &partition_again, NULL), HV_STATUS_VTL_ALREADY_ENABLED);

    /* VTL1 is on for a VP: from then on it enables itself on others, VTL0 does not. */
    struct hv_start_input vp_again __attribute__((aligned(16))) = {.partition = HV_PARTITION_SELF, .vp = 0, .vtl = 1};
    ASSERT_EQ(hypercall(HVCALL_ENABLE_VP_VTL, &vp_again, NULL), HV_STATUS_ACCESS_DENIED);
    ASSERT_EQ(vtl_call(), 3);
    tmk_log("VTL1 was enabled once, and still answers");
}
