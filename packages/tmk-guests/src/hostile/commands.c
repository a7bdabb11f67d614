/* Commands that no honest guest sends. The host ignores what it cannot follow, and the guest goes on. */
#include "../lib/x86.h"
#include "hostile.h"

static const char text[] = "text";

static void send_log(uint64_t address, uint64_t length)
{
    struct tmk_command command = {.tag = TMK_LOG, .text = address, .text_length = length};
    send_raw((uint64_t)&command);
}

TMK_TEST(hostile, log_length_huge)
{
    send_log((uint64_t)text, 1ul << 63);
    send_log((uint64_t)text, ~0ul);
    send_log((uint64_t)text, 1ul << 32);
    tmk_log("alive after lengths of 2^63, 2^64 - 1 and 2^32");
}

TMK_TEST(hostile, log_address_outside)
{
    uint64_t end = ram_end();
    send_log(end, 4);
    send_log(end - 2, 4);
    send_log(UNCLAIMED_ADDRESS, 4);
    send_log(COMMAND_ADDRESS, 4);
    send_log(1ul << 63, 4);
    send_log(-2ul, 4); /* address + length wraps to 2 */
    tmk_log("alive after texts outside RAM");
}

TMK_TEST(hostile, command_outside)
{
    send_raw(UNCLAIMED_ADDRESS);
    send_raw(COMMAND_ADDRESS);
    send_raw(1ul << 32);
    send_raw(1ul << 63);
    send_raw(-1ul);
    send_raw(-48ul);
    tmk_log("alive after commands outside RAM");
}

/* The record's first bytes are a valid completion, its last ones are past RAM: none of it counts. */
TMK_TEST(hostile, command_straddles_ram)
{
    uint64_t end = ram_end();
    volatile struct tmk_command *command = (volatile struct tmk_command *)(end - 24);
    command->tag = TMK_COMPLETE;
    command->success = 0;
    send_raw(end - 24);
    send_raw(end - 1);
    tmk_log("alive after a record across the end of RAM");
}

TMK_TEST(hostile, command_bad_fields)
{
    static const uint32_t tags[] = {3, 4, 0x100, 0x80000000, 0xffffffff};
    for (unsigned i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        struct tmk_command command = {.tag = tags[i]};
        send_raw((uint64_t)&command);
    }
    for (unsigned success = 2; success < 256; success += 23) {
        struct tmk_command command = {.tag = TMK_COMPLETE, .success = (uint8_t)success};
        send_raw((uint64_t)&command);
    }
    tmk_log("alive after bad tags and booleans");
}

TMK_TEST(hostile, command_garbage)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t command[6];
        for (unsigned word = 0; word < 6; word++)
            command[word] = garbage();
        command[0] |= 4; /* no valid tag, or this would end the test */
        send_raw((uint64_t)command);
        send_raw(garbage());
    }
    tmk_log("alive after 2000 random commands");
}

HOSTILE_FAULT(panic_texts_outside)
{
    struct tmk_command command = {
        .tag = TMK_PANIC,
        .text = UNCLAIMED_ADDRESS,
        .text_length = 1ul << 63,
        .file = -1ul,
        .file_length = -1ul,
        .line = UINT32_MAX,
    };
    send_raw((uint64_t)&command);
    tmk_complete(1); /* the first end counts */
}

TMK_TEST(hostile, log_endless)
{
    for (;;)
        tmk_log("more");
}

TMK_TEST(hostile, command_endless)
{
    for (;;)
        send_raw(UNCLAIMED_ADDRESS);
}
