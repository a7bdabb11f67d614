/* The tests of the static PIE. It has nothing of the library but the protocol's layouts. */
#include "../lib/tmk.h"
#include "../lib/x86.h"

#define LOAD_ADDRESS 0x200000ul

extern const struct tmk_test_descriptor __start_tmk_tests[], __stop_tmk_tests[];
extern const uint8_t __ehdr_start[];
extern uint64_t relocations_applied;
#pragma GCC visibility push(hidden)

static uint64_t command_address;

static void send(const struct tmk_command *command)
{
    mmio_write64(command_address, (uint64_t)command);
}

static void log_text(const char *text)
{
    struct tmk_command command = {.tag = TMK_LOG, .text = (uint64_t)text};
    while (text[command.text_length])
        command.text_length++;
    send(&command);
}

static _Noreturn void complete(_Bool success)
{
    struct tmk_command command = {.tag = TMK_COMPLETE, .success = success};
    send(&command);
    for (;;)
        asm volatile("cli\n\thlt" : : : "memory");
}

static void require(_Bool condition, const char *otherwise)
{
    if (condition)
        return;
    log_text(otherwise);
    complete(0);
}

/* Pointers in data: each is a relocation. */
static const char *const volatile texts[] = {"first", "second", "third"};

TMK_TEST(pie, pointers_in_data)
{
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        log_text(texts[i]);
    require((uint64_t)texts[0] >= LOAD_ADDRESS, "a pointer was not relocated");
}

TMK_TEST(pie, loaded_at_2_mib)
{
    require((uint64_t)__ehdr_start == LOAD_ADDRESS, "the image is elsewhere");
    log_text("at 2 MiB");
}

/* Name and entry point of each descriptor, and each text above: nothing was relocated for the guest, or twice. */
TMK_TEST(pie, relocations_applied_here)
{
    uint64_t pointers = 2 * (uint64_t)(__stop_tmk_tests - __start_tmk_tests) + sizeof(texts) / sizeof(texts[0]);
    require(relocations_applied == pointers, "another number of relocations");
    for (const struct tmk_test_descriptor *test = __start_tmk_tests; test < __stop_tmk_tests; test++)
        require((uint64_t)test->name > LOAD_ADDRESS && (uint64_t)test->entry > LOAD_ADDRESS, "a descriptor was not relocated");
    log_text("relocated by itself");
}

TMK_TEST_WITH_FLAGS(pie, expected_failure, TMK_EXPECTED_FAILURE)
{
    log_text("about to fail, as expected");
    complete(0);
}

/* Called by _start, relocated. */
void pie_start(const struct tmk_start_input *input)
{
    command_address = input->command_address;
    __start_tmk_tests[input->test_index].entry();
    complete(1);
}
