/* Application processors started both ways. TLFS, HvCallStartVirtualProcessor; SDM volume 3, 9.4. */
#include <stddef.h>

#include "../lib/apic.h"
#include "../lib/hypercall.h"
#include "../lib/hyperv.h"
#include "../lib/tmk.h"
#include "smp.h"

static volatile uint32_t index_seen[VPS_MAX];
static volatile uint32_t id_seen[VPS_MAX];

static void say_who(void)
{
    index_seen[vp_here()] = (uint32_t)rdmsr(HV_VP_INDEX);
    id_seen[vp_here()] = apic_id();
    ASSERT(!(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP));
    vp_arrive();
}

static void check_who(void)
{
    others_arrive();
    ASSERT(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP);
    for (uint32_t vp = 1; vp < vp_count(); vp++) {
        ASSERT_EQ(index_seen[vp], vp);
        ASSERT_EQ(id_seen[vp], vp);
    }
}

TMK_TEST(smp, start_by_hypercall)
{
    if (!vps_at_least(2))
        return;
    smp_initialize();
    others_start(vp_start_by_hypercall, say_who);
    check_who();

    /* A VP starts once (openvmm), nobody starts itself, and one that does not exist cannot be started. */
    struct hv_start_input input __attribute__((aligned(16))) = {.partition = HV_PARTITION_SELF, .vp = 1};
    input.context = hv_context_like_this(say_who, NULL);
    ASSERT_EQ(hypercall(HVCALL_START_VP, &input, NULL), HV_STATUS_INVALID_VP_STATE);
    input.vp = 0;
    ASSERT_EQ(hypercall(HVCALL_START_VP, &input, NULL), HV_STATUS_INVALID_VP_INDEX);
    input.vp = 4095;
    ASSERT_EQ(hypercall(HVCALL_START_VP, &input, NULL), HV_STATUS_INVALID_VP_INDEX);
    tmk_log("every VP knows its index and its APIC id");
}

TMK_TEST(smp, start_by_sipi)
{
    if (!vps_at_least(2))
        return;
    smp_initialize();
    others_start(vp_start_by_sipi, say_who);
    check_who();
    tmk_log("every VP came from real mode to 64-bit mode");
}
