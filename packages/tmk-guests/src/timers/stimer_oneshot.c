/* One expiration of one synthetic timer, as an interrupt and as a message. */
#include "../lib/firings.h"
#include "../lib/stimer.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"

#define VECTOR 0x52
#define DELAY MILLISECONDS(5)

#define MESSAGE_SINT 2
#define FIRST_TIMER 1
#define SECOND_TIMER 3

/* Started both ways TLFS knows, by the count (auto-enable) and by the enable bit; spinning, then halted. */
TMK_TEST(timers, stimer_oneshot_direct)
{
    stimer_initialize(VECTOR);
    stimer_set_config(0, ONE_SHOT_DIRECT(VECTOR));
    ASSERT(!(stimer_config(0) & STIMER_ENABLED));

    uint64_t due = stimer_start(0, DELAY);
    ASSERT(stimer_config(0) & STIMER_ENABLED);
    ASSERT_EQ(stimer_count(0), due);
    expect_firings(1);
    ASSERT_NOT_EARLY(0, due);
    ASSERT(!(stimer_config(0) & STIMER_ENABLED));
    expect_quiet(1, 2 * DELAY);

    stimer_set_config(0, STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    due = stimer_start(0, DELAY);
    ASSERT(!(stimer_config(0) & STIMER_ENABLED));
    stimer_set_config(0, STIMER_ENABLED | STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    halt_until(&firings, 2);
    ASSERT_NOT_EARLY(1, due);
    ASSERT(!(stimer_config(0) & STIMER_ENABLED));
    expect_quiet(2, 2 * DELAY);
    tmk_log("fired %u times, once a start", firings);
}

static void expect_message(uint32_t timer, uint64_t due, uint32_t firing)
{
    const volatile struct hv_timer_message *message = synic_message(MESSAGE_SINT);
    ASSERT_EQ(message->type, HV_MESSAGE_TIMER_EXPIRED);
    ASSERT_EQ(message->payload_size, 24);
    ASSERT_EQ(message->sender, 0);
    ASSERT_EQ(message->timer_index, timer);
    ASSERT_EQ(message->expiration_time, due);
    ASSERT_GE(message->delivery_time, due);
    ASSERT_LE(message->delivery_time, firing_time(firing));
    ASSERT_NOT_EARLY(firing, due);
}

/* Spins, interrupts on, until the slot's message-pending flag is set. */
static void expect_pending_flag(void)
{
    uint64_t limit = hv_reference_time() + PATIENCE;
    while (!(synic_message(MESSAGE_SINT)->flags & HV_MESSAGE_FLAG_PENDING)) {
        ASSERT_LT(hv_reference_time(), limit);
        spin_for(MICROSECONDS(100));
    }
}

/*
 * Two timers share a SINT. The second expires while the first one's message still fills the slot: it sets the slot's
 * message-pending flag and waits; freeing the slot and writing EOM lets it in, with the due time it always had.
 */
TMK_TEST(timers, stimer_oneshot_message)
{
    stimer_initialize(VECTOR);
    synic_enable();
    synic_set_vector(MESSAGE_SINT, VECTOR);
    stimer_set_config(FIRST_TIMER, STIMER_AUTO_ENABLE | STIMER_SINT(MESSAGE_SINT));
    stimer_set_config(SECOND_TIMER, STIMER_AUTO_ENABLE | STIMER_SINT(MESSAGE_SINT));

    uint64_t first_due = stimer_start(FIRST_TIMER, DELAY);
    expect_firings(1);
    expect_message(FIRST_TIMER, first_due, 0);
    ASSERT_EQ(synic_message(MESSAGE_SINT)->flags, 0);
    ASSERT(!(stimer_config(FIRST_TIMER) & STIMER_ENABLED));

    uint64_t second_due = stimer_start(SECOND_TIMER, DELAY);
    expect_pending_flag();
    ASSERT_GE(hv_reference_time(), second_due);
    expect_quiet(1, DELAY);
    expect_message(FIRST_TIMER, first_due, 0);

    synic_free_message(MESSAGE_SINT);
    expect_firings(2);
    expect_message(SECOND_TIMER, second_due, 1);
    ASSERT_EQ(synic_message(MESSAGE_SINT)->flags, 0);

    synic_free_message(MESSAGE_SINT);
    expect_quiet(2, 2 * DELAY);
    ASSERT_EQ(synic_message(MESSAGE_SINT)->type, HV_MESSAGE_NONE);
    tmk_log("%u messages, the second after EOM", firings);
}
