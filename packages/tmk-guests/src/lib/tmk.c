/* Commands to the host, and the way from the entry point to the selected test. */
#include "tmk.h"

#include <stdarg.h>

#include "format.h"
#include "interrupts.h"
#include "x86.h"

_Static_assert(sizeof(struct tmk_test_descriptor) == 32, "tmk_protocol: a descriptor is 32 bytes");
_Static_assert(sizeof(struct tmk_command) == 48, "tmk_protocol: the host reads 48 bytes");
_Static_assert(offsetof(struct tmk_command, success) == 4, "tmk_protocol: complete.success");
_Static_assert(offsetof(struct tmk_command, text) == 8, "tmk_protocol: log.message, panic.message");
_Static_assert(offsetof(struct tmk_command, file) == 24, "tmk_protocol: panic.filename");
_Static_assert(offsetof(struct tmk_command, line) == 40, "tmk_protocol: panic.line");

#define LINE_LENGTH 256

extern const struct tmk_test_descriptor tmk_tests_start[], tmk_tests_end[];

static uint64_t command_address;

/* The record lies on the caller's stack, so a handler may send a command while the code it interrupted builds one. */
static void send(const struct tmk_command *command)
{
    mmio_write64(command_address, (uint64_t)command);
}

void tmk_log(const char *format, ...)
{
    char line[LINE_LENGTH];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text(line, sizeof(line), format, arguments);
    va_end(arguments);

    struct tmk_command command = {.tag = TMK_LOG, .text = (uint64_t)line, .text_length = length};
    send(&command);
}

static _Noreturn void stop(void)
{
    for (;;)
        asm volatile("cli\n\thlt" : : : "memory");
}

void tmk_panic(const char *file, uint32_t line, const char *format, ...)
{
    char message[LINE_LENGTH];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text(message, sizeof(message), format, arguments);
    va_end(arguments);

    struct tmk_command command = {
        .tag = TMK_PANIC,
        .text = (uint64_t)message,
        .text_length = length,
        .file = (uint64_t)file,
        .file_length = text_length(file),
        .line = line,
    };
    send(&command);
    stop();
}

void tmk_complete(_Bool success)
{
    struct tmk_command command = {.tag = TMK_COMPLETE, .success = success};
    send(&command);
    stop();
}

/* Called by _start with the start input, on the library's own stack. */
void tmk_start(const struct tmk_start_input *input)
{
    command_address = input->command_address;
    interrupts_initialize();

    uint64_t count = tmk_tests_end - tmk_tests_start;
    if (input->test_index >= count)
        PANIC("test index %lu of %lu tests", input->test_index, count);
    tmk_tests_start[input->test_index].entry();
    tmk_complete(1);
}
