/* Messages and events from one VP to another's SINT. TLFS, HvCallPostMessage, HvCallSignalEvent, "Event Flags". */
#include <stddef.h>

#include "../lib/apic.h"
#include "../lib/hypercall.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"
#include "smp.h"

#define VECTOR 0x5d
#define MESSAGE_SINT 5
#define EVENT_SINT 6
#define MESSAGE_TYPE 0x1234u
#define ROUNDS 20

#define HV_SIEFP 0x40000082u
#define SIEFP_ENABLED (1ul << 0)
#define FLAG_WORDS_A_SINT (2048 / 64)

#define HV_STATUS_INSUFFICIENT_BUFFERS 0x13

/* The connections by which a partition reaches SINTs of its own: this host's convention. */
#define MESSAGE_CONNECTION(vp, sint) (0x50u << 24 | (vp) << 8 | (sint))
#define EVENT_CONNECTION(vp, sint) (0x51u << 24 | (vp) << 8 | (sint))

struct post_message_input {
    uint32_t connection;
    uint32_t reserved;
    uint32_t type;
    uint32_t payload_size;
    uint64_t payload[30];
} __attribute__((aligned(16)));

/* A slot with two words of payload: the sender and its count. */
struct message {
    uint32_t type;
    uint8_t payload_size;
    uint8_t flags;
    uint16_t reserved;
    uint64_t sender;
    uint64_t payload[30];
};

static volatile uint32_t received, out_of_order;
static volatile uint64_t last_of[VPS_MAX];

static void on_message(struct interrupt_frame *frame)
{
    (void)frame;
    const volatile struct message *message = (const volatile struct message *)synic_message(MESSAGE_SINT);
    ASSERT_EQ(message->type, MESSAGE_TYPE);
    ASSERT_EQ(message->payload_size, 16);
    uint64_t vp = message->payload[0], n = message->payload[1];
    ASSERT_LT(vp, VPS_MAX);
    if (n != last_of[vp] + 1)
        out_of_order = out_of_order + 1;
    last_of[vp] = n;
    received = received + 1;
    synic_free_message(MESSAGE_SINT);
    apic_eoi();
}

/* As fast as they are taken: a queue that is full says so, and the sender tries again. */
static void send_messages(void)
{
    static struct post_message_input inputs[VPS_MAX];
    struct post_message_input *input = &inputs[vp_here()];
    *input = (struct post_message_input){.connection = MESSAGE_CONNECTION(0, MESSAGE_SINT), .type = MESSAGE_TYPE, .payload_size = 16};
    for (uint32_t n = 1; n <= ROUNDS; n++) {
        input->payload[0] = vp_here();
        input->payload[1] = n;
        enum hv_status status;
        while ((uint32_t)(status = hypercall(HVCALL_POST_MESSAGE, input, NULL)) == HV_STATUS_INSUFFICIENT_BUFFERS)
            spin_for(MICROSECONDS(100));
        ASSERT_EQ(status, HV_STATUS_SUCCESS);
    }
    vp_arrive();
}

TMK_TEST(smp, messages)
{
    if (!vps_at_least(2))
        return;
    smp_initialize();
    synic_enable();
    interrupts_handle(VECTOR, on_message);
    synic_set_vector(MESSAGE_SINT, VECTOR);
    others_start(vp_start_by_hypercall, send_messages);
    halt_until(&received, ROUNDS * (vp_count() - 1));
    others_arrive();
    ASSERT_EQ(out_of_order, 0);
    for (uint32_t vp = 1; vp < vp_count(); vp++)
        ASSERT_EQ(last_of[vp], ROUNDS);

    struct post_message_input nowhere = {.connection = MESSAGE_CONNECTION(200, 0), .type = MESSAGE_TYPE};
    ASSERT_EQ(hypercall(HVCALL_POST_MESSAGE, &nowhere, NULL), HV_STATUS_INVALID_CONNECTION_ID);
    tmk_log("%u messages from every other VP, in order", ROUNDS);
}

static volatile uint64_t event_pages[VPS_MAX][512] __attribute__((aligned(4096)));
static volatile uint32_t events[VPS_MAX];

/* One flag of a SINT a VP, so that nobody hears what is meant for another. */
static uint32_t flag_of(uint32_t vp)
{
    return 100 * vp + 7;
}

static void on_event(struct interrupt_frame *frame)
{
    (void)frame;
    uint32_t vp = vp_here();
    volatile uint64_t *flags = &event_pages[vp][EVENT_SINT * FLAG_WORDS_A_SINT];
    uint32_t flag = flag_of(vp);
    ASSERT_EQ(flags[flag / 64], 1ul << flag % 64);
    flags[flag / 64] = 0;
    events[vp] = events[vp] + 1;
    apic_eoi();
}

static void take_events(void)
{
    uint32_t vp = vp_here();
    wrmsr(HV_SIEFP, (uint64_t)event_pages[vp] | SIEFP_ENABLED);
    synic_set_vector(EVENT_SINT, VECTOR);
    vp_arrive();
    halt_until(&events[vp], ROUNDS);
    vp_arrive();
}

static void signal(uint32_t vp)
{
    uint64_t flag = flag_of(vp);
    ASSERT_EQ(hypercall_fast(HVCALL_SIGNAL_EVENT, flag << 32 | EVENT_CONNECTION(vp, EVENT_SINT), 0), HV_STATUS_SUCCESS);
}

TMK_TEST(smp, events)
{
    if (!vps_at_least(2))
        return;
    smp_initialize();
    interrupts_handle(VECTOR, on_event);
    others_start(vp_start_by_hypercall, take_events);
    others_arrive();
    for (uint32_t n = 1; n <= ROUNDS; n++)
        for (uint32_t vp = 1; vp < vp_count(); vp++) {
            signal(vp);
            expect_count(&events[vp], n);
        }
    others_arrive();
    ASSERT_EQ(hypercall_fast(HVCALL_SIGNAL_EVENT, EVENT_CONNECTION(200, 0), 0), HV_STATUS_INVALID_CONNECTION_ID);
    tmk_log("%u events to every other VP", ROUNDS);
}
