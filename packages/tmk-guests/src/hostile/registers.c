/* Every register, port and leaf there is, with values that mean nothing. */
#include "../lib/apic.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/x86.h"
#include "hostile.h"

#define MSR_EFER 0xc0000080u
#define HV_GUEST_IDLE 0x400000f0u

struct msr_range {
    uint32_t first, last;
};

static const struct msr_range msr_ranges[] = {
    {0x00000000, 0x00001fff},
    {0x40000000, 0x400001ff},
    {0xc0000000, 0xc0001fff},
    {0xc0010000, 0xc00107ff},
    {0xfffffff0, 0xffffffff},
};
#define MSR_RANGES (sizeof(msr_ranges) / sizeof(msr_ranges[0]))

static bool next_msr(unsigned *range, uint32_t *msr)
{
    if (*msr != msr_ranges[*range].last) {
        ++*msr;
        return true;
    }
    if (++*range == MSR_RANGES)
        return false;
    *msr = msr_ranges[*range].first;
    return true;
}

TMK_TEST(hostile, msr_read_every)
{
    unsigned range = 0;
    uint32_t msr = msr_ranges[0].first;
    do {
        uint64_t value = 0;
        if (msr != HV_GUEST_IDLE) /* reading it is a halt: guest_idle below */
            try_rdmsr(msr, &value);
    } while (next_msr(&range, &msr));
    tmk_log("alive after reading every MSR");
}

TMK_TEST(hostile, msr_write_every)
{
    unsigned range = 0;
    uint32_t msr = msr_ranges[0].first;
    do {
        uint64_t before = 0;
        if (msr == HV_GUEST_IDLE || try_rdmsr(msr, &before).taken)
            before = 0;
        try_wrmsr(msr, ~0ul);
        try_wrmsr(msr, garbage());
        try_wrmsr(msr, before);
    } while (next_msr(&range, &msr));
    tmk_log("alive after writing every MSR");
}

/* The same in x2APIC mode, where 0x800 to 0x83f are the APIC. */
TMK_TEST(hostile, msr_write_x2apic)
{
    apic_enable(X2APIC);
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        uint64_t before = 0;
        if (msr == 0x830) /* the ICR has its own test */
            continue;
        try_rdmsr(msr, &before);
        try_wrmsr(msr, ~0ul);
        try_wrmsr(msr, garbage());
        try_wrmsr(msr, garbage() & 0xffffffff);
        try_wrmsr(msr, 0);
        try_wrmsr(msr, before);
    }
    tmk_log("alive after writing every x2APIC register");
}

/* The APIC's page: every offset, aligned or not, read and written; every width where registers are. */
TMK_TEST(hostile, xapic_every_offset)
{
    volatile uint8_t *page = (volatile uint8_t *)0xfee00000;
    for (unsigned offset = 0; offset < 4096; offset++) {
        if (offset >= 0x300 - 7 && offset < 0x310) /* the ICR has its own test */
            continue;
        (void)*(volatile uint32_t *)(page + offset);
        *(volatile uint32_t *)(page + offset) = (uint32_t)garbage();
        if (offset >= 0x400) /* no registers there */
            continue;
        (void)page[offset];
        page[offset] = (uint8_t)garbage();
        (void)*(volatile uint16_t *)(page + offset);
        *(volatile uint16_t *)(page + offset) = (uint16_t)garbage();
        (void)*(volatile uint64_t *)(page + offset);
        *(volatile uint64_t *)(page + offset) = garbage();
    }
    tmk_log("alive after every offset of the APIC page");
}

/* TLFS: the VP sleeps until an interrupt is pending. None ever is. */
TMK_TEST(hostile, guest_idle)
{
    (void)rdmsr(HV_GUEST_IDLE);
    tmk_log("woke");
}

/* Hypercall, message, event-flag, assist and reference-TSC pages: over each other, over code, outside RAM. */
TMK_TEST(hostile, overlay_pages_anywhere)
{
    static const uint32_t msrs[] = {0x40000001, 0x40000021, 0x40000073, 0x40000082, 0x40000083};
    static uint8_t page[4096] __attribute__((aligned(4096)));
    const uint64_t places[] = {0, (uint64_t)page, UNCLAIMED_ADDRESS, 0xfee00000, COMMAND_ADDRESS, 0xffffffffff000, -4096ul};
    wrmsr(HV_GUEST_OS_ID, 1);
    for (unsigned place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
        for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
            try_wrmsr(msrs[i], places[place] | 1);
        for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
            try_wrmsr(msrs[i], 0);
    }
    tmk_log("alive after overlay pages everywhere");
}

TMK_TEST(hostile, apic_page_over_ram)
{
    static volatile uint32_t page[1024] __attribute__((aligned(4096)));
    uint64_t base = rdmsr(MSR_APIC_BASE);
    page[APIC_VERSION / 4] = 0x12345678;
    wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_ADDRESS) | (uint64_t)page);
    ASSERT_EQ(page[APIC_VERSION / 4], 0x12345678); /* RAM is mapped: no access to it comes to the emulation */
    wrmsr(MSR_APIC_BASE, base);
    tmk_log("RAM stays RAM under the APIC page");
}

/* What is written to the command address goes to the APIC as long as its page is there. */
TMK_TEST(hostile, apic_page_over_command_address)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_ADDRESS) | COMMAND_ADDRESS);
    tmk_log("nobody hears this");
    wrmsr(MSR_APIC_BASE, base);
    tmk_log("heard again");
}

/* Each port is read once and written once, in a width that changes from port to port. */
TMK_TEST(hostile, port_every)
{
    for (uint32_t port = 0; port < 0x10000; port++) {
        uint32_t value = 0;
        switch (port % 3) {
        case 0:
            asm volatile("inb %w1, %b0\n\toutb %b0, %w1" : "+a"(value) : "d"(port));
            ASSERT_EQ(value, 0xff);
            break;
        case 1:
            asm volatile("inw %w1, %w0\n\toutw %w0, %w1" : "+a"(value) : "d"(port));
            ASSERT_EQ(value, 0xffff);
            break;
        case 2:
            asm volatile("inl %w1, %0\n\toutl %0, %w1" : "+a"(value) : "d"(port));
            ASSERT_EQ(value, 0xffffffff);
            break;
        }
    }
    tmk_log("alive after every port");
}

TMK_TEST(hostile, port_strings)
{
    static uint8_t buffer[256];
    for (uint32_t port = 0; port < 0x400; port += 7) {
        uint64_t to = (uint64_t)buffer, from = (uint64_t)buffer, in = 16, out = 16;
        asm volatile("rep insb" : "+D"(to), "+c"(in) : "d"((uint16_t)port) : "memory");
        asm volatile("rep outsl" : "+S"(from), "+c"(out) : "d"((uint16_t)port) : "memory");
    }
    ASSERT_EQ(buffer[0], 0xff);
    tmk_log("alive after string I/O");
}

TMK_TEST(hostile, cpuid_every)
{
    static const uint32_t bases[] = {0, 0x40000000, 0x80000000, 0xc0000000, 0xfffffff0};
    for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        for (uint32_t leaf = 0; leaf < 0x30; leaf++) {
            for (uint32_t subleaf = 0; subleaf < 0x20; subleaf++)
                (void)cpuid(bases[i] + leaf, subleaf);
            (void)cpuid(bases[i] + leaf, (uint32_t)garbage());
        }
    }
    tmk_log("alive after every CPUID leaf");
}

#define TRY_CONTROL_REGISTER(name, value)                                                                          \
    do {                                                                                                           \
        fault_clear();                                                                                             \
        asm volatile("1: movq %0, %%" name "\n2:" FAULT_FIXUP("1b", "2b") : : "r"((uint64_t)(value)) : "memory");  \
    } while (0)

/* Values with a reserved bit set, so that each must fault. */
TMK_TEST(hostile, control_registers_reserved_bits)
{
    for (unsigned i = 0; i < 1000; i++) {
        TRY_CONTROL_REGISTER("cr0", garbage() | 1ul << 63);
        ASSERT(fault_last().taken);
        TRY_CONTROL_REGISTER("cr4", garbage() | 1ul << 62);
        ASSERT(fault_last().taken);
        TRY_CONTROL_REGISTER("cr8", garbage() | 1ul << 61);
        ASSERT(fault_last().taken);
        TRY_CONTROL_REGISTER("cr3", garbage() | 1ul << 60);
        ASSERT(fault_last().taken);
    }
    tmk_log("recovered from reserved bits of control registers");
}

/* Leaving 64-bit mode by clearing PG while CS.L is set is #GP (SDM volume 3, 10.8.5.4); clearing PAE is #GP. */
TMK_TEST(hostile, paging_off)
{
    uint64_t cr0, cr4;
    asm volatile("movq %%cr0, %0" : "=r"(cr0));
    asm volatile("movq %%cr4, %0" : "=r"(cr4));
    TRY_CONTROL_REGISTER("cr0", cr0 & ~(1ul << 31));
    ASSERT(fault_last().taken);
    TRY_CONTROL_REGISTER("cr4", cr4 & ~(1ul << 5));
    ASSERT(fault_last().taken);
    tmk_log("stays in 64-bit mode");
}
