/* Where the APIC is, and in which mode. SDM volume 3, 11.4.4, 11.4.5 and 11.12.5. */
#include "../lib/apic.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"
#include "apic.h"

#define VECTOR 0x44
#define ELSEWHERE 0xfed40000ul
#define ALL_ONES 0xffffffffu
#define MSR_X2APIC_TPR 0x808u
#define MSR_X2APIC_ID 0x802u
#define MSR_X2APIC_ESR 0x828u

static void set_base(uint64_t clear, uint64_t set)
{
    wrmsr(MSR_APIC_BASE, (rdmsr(MSR_APIC_BASE) & ~clear) | set);
}

TMK_TEST(apic, relocation)
{
    apic_enable(XAPIC);
    record(VECTOR);
    uint64_t home = rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS;
    uint32_t version = mmio_read32(home + APIC_VERSION);
    apic_write(APIC_TPR, 0x30);

    set_base(APIC_BASE_ADDRESS, ELSEWHERE);
    ASSERT_EQ(rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS, ELSEWHERE);
    ASSERT_EQ(mmio_read32(ELSEWHERE + APIC_VERSION), version);
    ASSERT_EQ(mmio_read32(ELSEWHERE + APIC_TPR), 0x30);
    ASSERT_EQ(mmio_read32(home + APIC_VERSION), ALL_ONES);
    mmio_write32(home + APIC_TPR, 0); /* nobody is there */
    ASSERT_EQ(mmio_read32(ELSEWHERE + APIC_TPR), 0x30);

    set_base(APIC_BASE_ADDRESS, home);
    ASSERT_EQ(mmio_read32(home + APIC_TPR), 0x30);
    ASSERT_EQ(mmio_read32(ELSEWHERE + APIC_VERSION), ALL_ONES);
    apic_send_self_shorthand(VECTOR);
    expect_taken(1);
    tmk_log("moved, and moved back");
}

TMK_TEST(apic, mode_changes)
{
    apic_enable(XAPIC);
    uint64_t xapic = rdmsr(MSR_APIC_BASE);
    apic_write(APIC_TPR, 0x40);

    set_base(0, APIC_BASE_X2APIC);
    ASSERT_EQ(rdmsr(MSR_X2APIC_TPR), 0x40); /* the switch keeps the registers */
    struct fault fault = try_wrmsr(MSR_APIC_BASE, xapic);
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, VECTOR_GP);
    ASSERT_EQ(rdmsr(MSR_APIC_BASE), xapic | APIC_BASE_X2APIC);

    set_base(APIC_BASE_ENABLED | APIC_BASE_X2APIC, 0);
    ASSERT_EQ(rdmsr(MSR_APIC_BASE) & (APIC_BASE_ENABLED | APIC_BASE_X2APIC), 0);
    ASSERT_EQ(mmio_read32((xapic & APIC_BASE_ADDRESS) + APIC_VERSION), ALL_ONES);

    set_base(0, APIC_BASE_ENABLED);
    apic_enable(XAPIC);
    ASSERT_EQ(rdmsr(MSR_APIC_BASE), xapic);
    ASSERT_EQ(apic_read(APIC_TPR), 0); /* disabling resets the registers; apic_enable sets TPR and SVR only */
    tmk_log("xAPIC, x2APIC, disabled, xAPIC");
}

/* Reserved bits of the base, and of registers whose every bit is fixed, are #GP(0). */
TMK_TEST(apic, general_protection)
{
    apic_enable(XAPIC);
    uint64_t base = rdmsr(MSR_APIC_BASE);
    static const uint64_t reserved[] = {1, 1ul << 9, 1ul << 62};
    for (uint32_t n = 0; n < 3; n++) {
        struct fault fault = try_wrmsr(MSR_APIC_BASE, base | reserved[n]);
        ASSERT(fault.taken);
        ASSERT_EQ(fault.vector, VECTOR_GP);
        ASSERT_EQ(fault.error_code, 0);
        ASSERT_EQ(rdmsr(MSR_APIC_BASE), base);
    }
    set_base(0, APIC_BASE_X2APIC);
    ASSERT_EQ(try_wrmsr(MSR_X2APIC_ID, 1).vector, VECTOR_GP);
    ASSERT_EQ(try_wrmsr(MSR_X2APIC_ESR, 1).vector, VECTOR_GP);
    ASSERT(!try_wrmsr(MSR_X2APIC_ESR, 0).taken);
    tmk_log("reserved bits fault");
}
