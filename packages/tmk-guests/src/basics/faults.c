/* Exceptions the guest provokes and recovers from. */
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"

TMK_TEST(basics, ud2)
{
    struct fault fault = TRY_INSTRUCTION("ud2");
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, VECTOR_UD);
    ASSERT_EQ(fault.error_code, 0);

    /* And again: the first recovery left nothing behind. */
    fault = TRY_INSTRUCTION("ud2");
    ASSERT(fault.taken);
    fault = TRY_INSTRUCTION("nop");
    ASSERT(!fault.taken);
    tmk_log("recovered from #UD");
}

static void assert_gp(struct fault fault)
{
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, VECTOR_GP);
    ASSERT_EQ(fault.error_code, 0);
}

/* TLFS: read-only registers fault on a write, and the EOI register on a read; what may be done must not fault. */
TMK_TEST(basics, msr_gp)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_VP_INDEX | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE);

    static const uint32_t read_only[] = {HV_VP_INDEX, HV_TIME_REF_COUNT, HV_TSC_FREQUENCY, HV_APIC_FREQUENCY,
                                         HV_SVERSION};
    for (unsigned i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
        uint64_t value = 0;
        ASSERT(!try_rdmsr(read_only[i], &value).taken);
        assert_gp(try_wrmsr(read_only[i], value));
    }

    uint64_t untouched = 0x0123456789abcdef;
    assert_gp(try_rdmsr(HV_EOI, &untouched));
    ASSERT_EQ(untouched, 0x0123456789abcdef);

    ASSERT_EQ(rdmsr(HV_VP_INDEX), 0);
    ASSERT_EQ(rdmsr(HV_SVERSION), 1);
    tmk_log("recovered from #GP(0)");
}
