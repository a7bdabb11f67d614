/* Message slots and the modes of a SINT. TLFS, "SynIC Message Delivery", "SINTx Registers". */
#include "../lib/apic.h"
#include "../lib/firings.h"
#include "../lib/interrupts.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x5a
#define SINT 3
#define DELAY MILLISECONDS(5)
#define MESSAGE (STIMER_AUTO_ENABLE | STIMER_SINT(SINT))

#define SINT_MASKED (1ul << 16)
#define SINT_AUTO_EOI (1ul << 17)
#define SINT_POLLING (1ul << 18)

static void initialize(uint64_t sint)
{
    stimer_initialize(VECTOR);
    synic_enable();
    wrmsr(HV_SINT0 + SINT, sint);
    ASSERT_EQ(rdmsr(HV_SINT0 + SINT), sint);
    stimer_set_config(0, MESSAGE);
}

static void expect_message(uint64_t due)
{
    const volatile struct hv_timer_message *message = synic_message(SINT);
    ASSERT_EQ(message->type, HV_MESSAGE_TIMER_EXPIRED);
    ASSERT_EQ(message->expiration_time, due);
    ASSERT_GE(message->delivery_time, due);
}

/* Spins, interrupts on, until a message lies in the slot. */
static void wait_for_message(void)
{
    uint64_t limit = hv_reference_time() + PATIENCE;
    while (synic_message(SINT)->type == HV_MESSAGE_NONE) {
        ASSERT_LT(hv_reference_time(), limit);
        spin_for(MICROSECONDS(100));
    }
}

/*
 * A periodic timer whose first message is never taken: no second message, no second interrupt, for fifty periods. Then
 * the slot is freed: EOM brings the message that waited, with the due time it had all along.
 */
TMK_TEST(synic, slot_stays_busy)
{
    initialize(VECTOR);
    stimer_set_config(0, MESSAGE | STIMER_PERIODIC);
    stimer_set_count(0, MILLISECONDS(1));
    expect_firings(1);
    uint64_t first_due = synic_message(SINT)->expiration_time;
    uint64_t first_delivery = synic_message(SINT)->delivery_time;
    expect_quiet(1, MILLISECONDS(50));
    ASSERT_EQ(synic_message(SINT)->flags, HV_MESSAGE_FLAG_PENDING);
    expect_message(first_due);

    synic_free_message(SINT);
    expect_firings(2);
    ASSERT_EQ(synic_message(SINT)->expiration_time, first_delivery + MILLISECONDS(1));
    ASSERT_GE(synic_message(SINT)->delivery_time, first_delivery + MILLISECONDS(50));
    stimer_set_config(0, 0);
    synic_free_message(SINT);
    tmk_log("one message in the slot, one behind it, the ticks between are lost");
}

/* A slot freed without an EOM: nobody is told. The guest's next exit of any kind lets the message in. */
TMK_TEST(synic, freed_without_eom)
{
    initialize(VECTOR);
    stimer_start(0, DELAY);
    expect_firings(1);
    uint64_t due = stimer_start(0, DELAY);
    spin_for(2 * DELAY);
    ASSERT_EQ(synic_message(SINT)->flags, HV_MESSAGE_FLAG_PENDING);
    synic_message(SINT)->type = HV_MESSAGE_NONE;
    cpuid(0, 0);
    expect_firings(2);
    expect_message(due);
    tmk_log("two messages without an EOM");
}

TMK_TEST(synic, polling)
{
    initialize(VECTOR | SINT_POLLING);
    for (uint32_t n = 0; n < 3; n++) {
        uint64_t due = stimer_start(0, DELAY);
        wait_for_message();
        expect_message(due);
        synic_free_message(SINT);
    }
    expect_quiet(0, DELAY);
    tmk_log("three messages, no interrupt");
}

/* A masked SINT takes no message; unmasking it does, for the timer that has expired meanwhile. */
TMK_TEST(synic, masked)
{
    initialize(VECTOR | SINT_MASKED);
    uint64_t due = stimer_start(0, DELAY);
    expect_quiet(0, 2 * DELAY);
    ASSERT_EQ(synic_message(SINT)->type, HV_MESSAGE_NONE);
    ASSERT_EQ(synic_message(SINT)->flags, 0);
    wrmsr(HV_SINT0 + SINT, VECTOR);
    expect_firings(1);
    expect_message(due);
    tmk_log("the message came when the SINT was unmasked");
}

static volatile uint32_t auto_eoi_taken;
static volatile uint32_t in_service;

/* Sends no EOI: the interrupt was never in service. */
static void on_auto_eoi(struct interrupt_frame *frame)
{
    (void)frame;
    if (apic_vector_bit(APIC_ISR, VECTOR))
        in_service = in_service + 1;
    auto_eoi_taken = auto_eoi_taken + 1;
}

TMK_TEST(synic, auto_eoi)
{
    initialize(VECTOR | SINT_AUTO_EOI);
    interrupts_handle(VECTOR, on_auto_eoi);
    for (uint32_t n = 1; n <= 3; n++) {
        uint64_t due = stimer_start(0, DELAY);
        ASSERT(spin_until(&auto_eoi_taken, n, due + PATIENCE));
        ASSERT_EQ(in_service, 0);
        expect_message(due);
        synic_free_message(SINT);
    }
    ASSERT_EQ(auto_eoi_taken, 3);
    tmk_log("three interrupts, none to be ended");
}

/* Direct mode knows neither SINT nor message page: one masked, the other not there. */
TMK_TEST(synic, direct_needs_no_sint)
{
    stimer_initialize(VECTOR);
    ASSERT_EQ(rdmsr(HV_SINT0), SINT_MASKED);
    ASSERT_EQ(rdmsr(HV_SIMP), 0);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    uint64_t due = stimer_start(0, DELAY);
    expect_firings(1);
    ASSERT_NOT_EARLY(0, due);
    tmk_log("an interrupt without a SINT");
}

/* Without a message page the message waits in one of the hypervisor's own, and is there when the page is. */
TMK_TEST(synic, page_enabled_late)
{
    stimer_initialize(VECTOR);
    synic_set_vector(SINT, VECTOR);
    stimer_set_config(0, MESSAGE);
    uint64_t due = stimer_start(0, DELAY);
    expect_firings(1);
    ASSERT_EQ(synic_message(SINT)->type, HV_MESSAGE_NONE);
    synic_enable();
    expect_message(due);
    synic_free_message(SINT);
    tmk_log("the message was there when the page was");
}
