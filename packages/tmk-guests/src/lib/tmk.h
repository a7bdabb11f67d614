/*
 * The test microkernel protocol, guest side: tests, log lines, panics, completion. The layouts are those of openvmm's
 * tmk_protocol crate; the host half is openvmm's tmk_vmm, or this project's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One test; section `tmk_tests` is an array of these, and the start input selects one by its index. */
struct tmk_test_descriptor {
    const char *name;
    uint64_t name_length;
    void (*entry)(void);
    uint64_t flags;
};

#define TMK_EXPECTED_FAILURE (1ul << 0)

/* Handed over in RSI at start. */
struct tmk_start_input {
    uint64_t command_address;
    uint64_t test_index;
};

enum tmk_command_tag {
    TMK_LOG = 0,
    TMK_PANIC = 1,
    TMK_COMPLETE = 2,
};

/* What the host reads when its physical address is written to the command address. */
struct tmk_command {
    uint32_t tag;
    uint8_t success; /* complete */
    uint8_t reserved[3];
    uint64_t text; /* log; the message of a panic */
    uint64_t text_length;
    uint64_t file; /* panic */
    uint64_t file_length;
    uint32_t line;
    uint32_t reserved2;
};

/* Defines a test named "suite::test". It passes when its body returns. */
#define TMK_TEST(suite, test) TMK_TEST_WITH_FLAGS(suite, test, 0)

#define TMK_TEST_WITH_FLAGS(suite, test, test_flags)                                                       \
    static void suite##_##test(void);                                                                      \
    __attribute__((section("tmk_tests"), used, aligned(32))) static const struct tmk_test_descriptor       \
        suite##_##test##_descriptor = {                                                                    \
            .name = #suite "::" #test,                                                                     \
            .name_length = sizeof(#suite "::" #test) - 1,                                                  \
            .entry = suite##_##test,                                                                       \
            .flags = (test_flags),                                                                         \
    };                                                                                                     \
    static void suite##_##test(void)

/*
 * Sends one log line. The format knows %s, %c, %%, %u, %x (32 bits), %lu and %lx (64 bits). A line must say the same
 * whatever the backing, the timer and the guest's speed: no latencies, no time stamps.
 */
__attribute__((format(printf, 1, 2))) void tmk_log(const char *format, ...);

/* Fails the test, with where and why. */
__attribute__((noreturn, format(printf, 3, 4))) void tmk_panic(const char *file, uint32_t line, const char *format, ...);

/* Ends the test. */
__attribute__((noreturn)) void tmk_complete(_Bool success);

#define PANIC(...) tmk_panic(__FILE_NAME__, __LINE__, __VA_ARGS__)

#define ASSERT(condition)                           \
    do {                                            \
        if (!(condition))                           \
            PANIC("assertion failed: " #condition); \
    } while (0)

/* Assertions on unsigned values; a failure shows both. */
#define ASSERT_EQ(left, right) ASSERT_COMPARISON(#left " == " #right, left, ==, right)
#define ASSERT_GE(left, right) ASSERT_COMPARISON(#left " >= " #right, left, >=, right)
#define ASSERT_LE(left, right) ASSERT_COMPARISON(#left " <= " #right, left, <=, right)
#define ASSERT_LT(left, right) ASSERT_COMPARISON(#left " < " #right, left, <, right)

/* The text is made where the operands are still as written. */
#define ASSERT_COMPARISON(text, left, operator, right)                                                         \
    do {                                                                                                       \
        uint64_t assert_left = (uint64_t)(left);                                                               \
        uint64_t assert_right = (uint64_t)(right);                                                             \
        if (!(assert_left operator assert_right))                                                              \
            PANIC("assertion failed: %s: %lu and %lu (0x%lx, 0x%lx)", text, assert_left, assert_right,         \
                  assert_left, assert_right);                                                                  \
    } while (0)
