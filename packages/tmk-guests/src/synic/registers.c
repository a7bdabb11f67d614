/* Synthetic registers beside the timers. TLFS, "Reference TSC Page", "VP Assist Page", "Local APIC MSR Accesses". */
#include "../lib/apic.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/vtl.h"
#include "../lib/wait.h"

#define HV_REFERENCE_TSC 0x40000021u
#define HV_ICR 0x40000071u
#define HV_TPR 0x40000072u
#define HV_ACCESS_REFERENCE_TSC (1u << 9)
#define HV_ACCESS_APIC_MSRS (1u << 4)

#define READINGS 1000
#define VECTOR 0x5b
#define HIGHER_VECTOR 0x6b
#define LOWER_VECTOR 0x4b

static struct {
    uint32_t sequence;
    uint32_t reserved;
    uint64_t scale;
    int64_t offset;
    uint8_t unused[4072];
} volatile reference_page __attribute__((aligned(4096)));

/* Reference time at a TSC value, by the page: the loop of TLFS, whose sequence must not be 0. */
static uint64_t by_page(uint64_t tsc)
{
    uint32_t sequence;
    uint64_t time;
    do {
        sequence = reference_page.sequence;
        ASSERT(sequence != 0);
        time = ((unsigned __int128)tsc * reference_page.scale >> 64) + (uint64_t)reference_page.offset;
    } while (reference_page.sequence != sequence);
    return time;
}

/* A reading of the counter lies between the page's times before and after it, with nothing to spare on either side. */
TMK_TEST(synic, reference_tsc_page)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_REFERENCE_TSC | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE);
    wrmsr(HV_REFERENCE_TSC, (uint64_t)&reference_page | 1);
    ASSERT_EQ(rdmsr(HV_REFERENCE_TSC), (uint64_t)&reference_page | 1);
    ASSERT_EQ(reference_page.offset, 0);
    uint64_t last = 0;
    for (uint32_t n = 0; n < READINGS; n++) {
        uint64_t before = by_page(rdtsc());
        uint64_t counter = rdmsr(HV_TIME_REF_COUNT);
        uint64_t after = by_page(rdtsc());
        ASSERT_GE(counter, before);
        ASSERT_LE(counter, after);
        ASSERT_GE(before, last);
        last = after;
        if (n % 10 == 0)
            spin_for(MICROSECONDS(50));
    }
    tmk_log("%u readings, each between the page's before and after", READINGS);
}

static volatile struct vp_assist_page assist __attribute__((aligned(4096)));
static volatile uint32_t taken, without_eoi;
static volatile uint64_t last_vector;

/* TLFS, "EOI Assist": the bit is taken back and read in one go; if it was set, the EOI has been done with that. */
static void on_lazy(struct interrupt_frame *frame)
{
    last_vector = frame->vector;
    taken = taken + 1;
    bool no_eoi;
    asm volatile("btrl $0, %1" : "=@ccc"(no_eoi), "+m"(assist.apic_assist) : : "memory");
    if (no_eoi)
        without_eoi = without_eoi + 1;
    else
        wrmsr(HV_EOI, 0);
}

TMK_TEST(synic, lazy_eoi)
{
    hv_initialize(HV_ACCESS_APIC_MSRS, 0);
    apic_enable(X2APIC);
    interrupts_handle(VECTOR, on_lazy);
    interrupts_handle(LOWER_VECTOR, on_lazy);
    wrmsr(HV_VP_ASSIST_PAGE, (uint64_t)&assist | ASSIST_PAGE_ENABLED);
    interrupts_on();
    for (uint32_t n = 1; n <= 100; n++) {
        apic_send_self_register(VECTOR);
        ASSERT_EQ(taken, n);
        ASSERT(!apic_vector_bit(APIC_ISR, VECTOR));
    }
    interrupts_off();

    /* With another one pending behind it the first needs its EOI: the second would never come. */
    apic_send_self_register(LOWER_VECTOR);
    apic_send_self_register(VECTOR);
    spin_for(MICROSECONDS(100));
    ASSERT_EQ(taken, 102);
    ASSERT_EQ(last_vector, LOWER_VECTOR);
    tmk_log("%u interrupts, each ended", taken);
}

static void on_synthetic(struct interrupt_frame *frame)
{
    last_vector = frame->vector;
    taken = taken + 1;
    wrmsr(HV_EOI, 0);
}

/* EOI, ICR and TPR as synthetic registers, beside the APIC's own: the same state behind both. */
TMK_TEST(synic, apic_registers)
{
    hv_initialize(HV_ACCESS_APIC_MSRS, 0);
    apic_enable(XAPIC);
    interrupts_handle(VECTOR, on_synthetic);
    interrupts_handle(HIGHER_VECTOR, on_synthetic);
    for (uint32_t n = 1; n <= 3; n++) {
        wrmsr(HV_ICR, APIC_ICR_SELF | APIC_ICR_ASSERT | VECTOR);
        ASSERT(apic_vector_bit(APIC_IRR, VECTOR));
        spin_for(MICROSECONDS(10));
        ASSERT_EQ(taken, n);
        ASSERT(!apic_vector_bit(APIC_ISR, VECTOR));
    }

    wrmsr(HV_TPR, 0x50);
    ASSERT_EQ(apic_read(APIC_TPR), 0x50);
    wrmsr(HV_ICR, APIC_ICR_SELF | APIC_ICR_ASSERT | VECTOR);
    spin_for(MICROSECONDS(100));
    ASSERT_EQ(taken, 3);
    wrmsr(HV_ICR, APIC_ICR_SELF | APIC_ICR_ASSERT | HIGHER_VECTOR);
    spin_for(MICROSECONDS(100));
    ASSERT_EQ(taken, 4);
    ASSERT_EQ(last_vector, HIGHER_VECTOR);
    apic_write(APIC_TPR, 0);
    ASSERT_EQ(rdmsr(HV_TPR), 0);
    spin_for(MICROSECONDS(100));
    ASSERT_EQ(taken, 5);
    ASSERT_EQ(last_vector, VECTOR);

    /* TLFS: a TPR above 0xff is no TPR; EOI is write-only. */
    ASSERT_EQ(try_wrmsr(HV_TPR, 0x100).vector, VECTOR_GP);
    uint64_t value = 0;
    ASSERT_EQ(try_rdmsr(HV_EOI, &value).vector, VECTOR_GP);
    tmk_log("the synthetic registers are the APIC's");
}
