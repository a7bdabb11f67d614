/* Which interrupt comes, and when. SDM volume 3, 11.8. */
#include "../lib/apic.h"
#include "../lib/interrupts.h"
#include "../lib/ipi.h"
#include "../lib/tmk.h"
#include "apic.h"

#define LOW 0x41
#define MIDDLE 0x52
#define MIDDLE_TOO 0x5e
#define HIGH 0x63
#define APIC_PPR 0xa0

static void initialize(enum apic_mode mode)
{
    apic_enable(mode);
    record(LOW);
    record(MIDDLE);
    record(MIDDLE_TOO);
    record(HIGH);
}

static void write_cr8(uint64_t value)
{
    asm volatile("movq %0, %%cr8" : : "r"(value) : "memory");
}

static uint64_t read_cr8(void)
{
    uint64_t value;
    asm volatile("movq %%cr8, %0" : "=r"(value));
    return value;
}

/* All at once, interrupts off: they come by vector, highest first, each when the one before has been ended. */
TMK_TEST(apic, highest_first)
{
    initialize(X2APIC);
    static const uint8_t sent[] = {MIDDLE, LOW, HIGH, MIDDLE_TOO};
    static const uint8_t expected[] = {HIGH, MIDDLE_TOO, MIDDLE, LOW};
    for (uint32_t n = 0; n < 4; n++)
        apic_send_self_register(sent[n]);
    expect_taken(4);
    for (uint32_t n = 0; n < 4; n++)
        ASSERT_EQ(taken_vectors[n], expected[n]);
    tmk_log("four interrupts, highest first");
}

/* The task priority holds back its own class and those below. */
static void check_task_priority(void)
{
    apic_send_self_shorthand(LOW);
    apic_send_self_shorthand(MIDDLE);
    expect_taken(0);
    apic_send_self_shorthand(HIGH);
    expect_taken(1);
    ASSERT_EQ(taken_vectors[0], HIGH);
}

static void check_lowered(uint32_t count, uint8_t vector)
{
    expect_taken(count);
    ASSERT_EQ(taken_vectors[count - 1], vector);
}

TMK_TEST(apic, task_priority)
{
    initialize(XAPIC);
    apic_write(APIC_TPR, 0x50);
    ASSERT_EQ(read_cr8(), 5);
    ASSERT_EQ(apic_read(APIC_PPR), 0x50);
    check_task_priority();
    apic_write(APIC_TPR, 0x40);
    check_lowered(2, MIDDLE);
    apic_write(APIC_TPR, 0);
    check_lowered(3, LOW);
    tmk_log("held back by the task priority register");
}

TMK_TEST(apic, cr8)
{
    initialize(XAPIC);
    write_cr8(5);
    ASSERT_EQ(apic_read(APIC_TPR), 0x50);
    check_task_priority();
    write_cr8(4);
    check_lowered(2, MIDDLE);
    write_cr8(0);
    check_lowered(3, LOW);
    ASSERT_EQ(read_cr8(), 0);
    tmk_log("held back by CR8");
}

static volatile uint32_t nested_depth, deepest, same_class_early;

/* Opens interrupts inside the handler: a higher class nests, the same class and lower ones wait for the EOI. */
static void on_nesting(struct interrupt_frame *frame)
{
    nested_depth = nested_depth + 1;
    if (nested_depth > deepest)
        deepest = nested_depth;
    if (frame->vector == MIDDLE) {
        apic_send_self_register(LOW);
        apic_send_self_register(MIDDLE_TOO);
        apic_send_self_register(HIGH);
        interrupts_on();
        for (uint32_t i = 0; i < 100; i++)
            asm volatile("");
        interrupts_off();
        same_class_early = taken != 1;
    }
    taken_vectors[taken] = (uint8_t)frame->vector;
    taken = taken + 1;
    nested_depth = nested_depth - 1;
    apic_eoi();
}

TMK_TEST(apic, nesting)
{
    initialize(X2APIC);
    static const uint8_t vectors[] = {LOW, MIDDLE, MIDDLE_TOO, HIGH};
    for (uint32_t n = 0; n < 4; n++)
        interrupts_handle(vectors[n], on_nesting);
    apic_send_self_register(MIDDLE);
    expect_taken(4);
    static const uint8_t expected[] = {HIGH, MIDDLE, MIDDLE_TOO, LOW};
    for (uint32_t n = 0; n < 4; n++)
        ASSERT_EQ(taken_vectors[n], expected[n]);
    ASSERT_EQ(deepest, 2);
    ASSERT(!same_class_early);
    tmk_log("a higher class nests, its own class waits");
}

static volatile uint32_t nmis;

static void on_nmi(struct interrupt_frame *frame)
{
    (void)frame;
    nmis = nmis + 1;
}

/* An NMI asks for no EOI, heeds neither IF nor the task priority, and wakes a HLT with interrupts off. */
TMK_TEST(apic, nmi)
{
    initialize(X2APIC);
    interrupts_handle(2, on_nmi);
    apic_write(APIC_TPR, 0xff);
    for (uint32_t n = 1; n <= 3; n++) {
        ipi_send(ICR_NMI | ICR_ASSERT, apic_id());
        for (uint32_t i = 0; i < 100; i++)
            asm volatile("");
        ASSERT_EQ(nmis, n);
    }
    tmk_log("%u NMIs with interrupts off", nmis);
}

/* Vectors below 16 are no interrupts: nobody takes them, and nothing tells (SDM volume 3, 11.5.2; no ESR in the emulation). */
TMK_TEST(apic, low_vectors)
{
    initialize(X2APIC);
    for (uint8_t vector = 0; vector < 16; vector++)
        apic_send_self_shorthand(vector);
    expect_taken(0);
    apic_send_self_shorthand(LOW);
    expect_taken(1);
    tmk_log("sixteen vectors, none taken");
}

/* Nor are they requested: no bit of theirs is in IRR. */
TMK_TEST(apic, low_vectors_not_requested)
{
    initialize(X2APIC);
    for (uint8_t vector = 0; vector < 16; vector++) {
        apic_send_self_shorthand(vector);
        ASSERT(!apic_vector_bit(APIC_IRR, vector));
    }
    tmk_log("sixteen vectors, none in IRR");
}

#define APIC_LDR 0xd0
#define APIC_DFR 0xe0
#define DFR_FLAT 0xffffffffu
#define DFR_CLUSTER 0x0fffffffu
#define XAPIC_DESTINATION(id) ((uint32_t)(id) << 24)

static void send_logical(uint32_t mode, uint8_t logical_id)
{
    apic_write(APIC_ICR_HIGH, XAPIC_DESTINATION(logical_id));
    apic_write(APIC_ICR, mode | ICR_LOGICAL | ICR_ASSERT | LOW);
}

/* Flat and cluster model of xAPIC mode, fixed and lowest priority, to this VP by its logical id, and to nobody. */
TMK_TEST(apic, logical_destinations)
{
    initialize(XAPIC);
    apic_write(APIC_DFR, DFR_FLAT);
    apic_write(APIC_LDR, XAPIC_DESTINATION(0x02));
    send_logical(0, 0x02);
    expect_taken(1);
    send_logical(0, 0x06);
    expect_taken(2);
    send_logical(0, 0x04);
    expect_taken(2);
    send_logical(ICR_LOWEST_PRIORITY, 0x02);
    expect_taken(3);

    apic_write(APIC_DFR, DFR_CLUSTER);
    apic_write(APIC_LDR, XAPIC_DESTINATION(0x32));
    send_logical(0, 0x32);
    expect_taken(4);
    send_logical(0, 0x22); /* the same bit in another cluster */
    expect_taken(4);
    tmk_log("by flat and by cluster ids");
}

/*
 * In x2APIC mode the logical id follows from the APIC id (SDM volume 3, 11.12.10.2); there is no lowest priority then
 * (openvmm drops such an IPI).
 */
TMK_TEST(apic, logical_destinations_x2apic)
{
    initialize(X2APIC);
    ASSERT_EQ(apic_read(APIC_LDR), LOGICAL_ID(apic_id()));
    ipi_send(ICR_LOGICAL | ICR_ASSERT | LOW, LOGICAL_ID(apic_id()));
    expect_taken(1);
    ipi_send(ICR_LOGICAL | ICR_ASSERT | ICR_LOWEST_PRIORITY | LOW, LOGICAL_ID(apic_id()));
    expect_taken(1);
    ipi_send(ICR_LOGICAL | ICR_ASSERT | LOW, 1u << 16 | LOGICAL_ID(apic_id())); /* cluster 1 */
    expect_taken(1);
    tmk_log("by the logical id that the APIC id gives");
}
