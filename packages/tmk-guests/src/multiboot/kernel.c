/*
 * A kernel in the Multiboot style: it speaks through COM1, and ends by the exit port. What it shares with the test
 * microkernels speaks through the functions of tmk.h, which are made otherwise here.
 */
#include "kernel.h"

#include <stdarg.h>
#include <stddef.h>

#include "../lib/format.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/x86.h"

#define BOOTLOADER_MAGIC 0x2badb002u
#define COM1 0x3f8
#define LINE_STATUS (COM1 + 5)
#define TRANSMITTER_EMPTY 0x20
#define EXIT_PORT 0xf4
#define LINE_LENGTH 256

/* The information structure, as far as it is used (Multiboot Specification 0.6.96, 3.3). */
struct multiboot_information {
    uint32_t flags, memory_low, memory_high, boot_device, command_line, modules_count, modules;
};
#define INFORMATION_COMMAND_LINE (1u << 2)
#define INFORMATION_MODULES (1u << 3)

struct multiboot_module {
    uint32_t start, end, string, reserved;
};

static void send(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while (!(in8(LINE_STATUS) & TRANSMITTER_EMPTY))
            ;
        out8(COM1, (uint8_t)text[i]);
    }
}

static void send_formatted(const char *format, va_list arguments)
{
    char line[LINE_LENGTH];
    send(line, format_text(line, sizeof(line), format, arguments));
    send("\n", 1);
}

static _Noreturn void exit_with(uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)EXIT_PORT));
    for (;;)
        asm volatile("cli\n\thlt" : : : "memory");
}

void tmk_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    send_formatted(format, arguments);
    va_end(arguments);
}

void tmk_panic(const char *file, uint32_t line, const char *format, ...)
{
    tmk_log("panic at %s:%u:", file, line);
    va_list arguments;
    va_start(arguments, format);
    send_formatted(format, arguments);
    va_end(arguments);
    exit_with(1);
}

/* Called by _start in 64-bit mode. */
void kernel_start(uint32_t magic, const struct multiboot_information *information)
{
    interrupts_initialize();
    ASSERT_EQ(magic, BOOTLOADER_MAGIC);
    if (information->flags & INFORMATION_COMMAND_LINE)
        tmk_log("command line: %s", (const char *)(uint64_t)information->command_line);
    if (information->flags & INFORMATION_MODULES) {
        const struct multiboot_module *modules = (const struct multiboot_module *)(uint64_t)information->modules;
        for (uint32_t i = 0; i < information->modules_count; i++) {
            tmk_log("module: %s", (const char *)(uint64_t)modules[i].string);
            send((const char *)(uint64_t)modules[i].start, modules[i].end - modules[i].start);
        }
    }
    test_faults();
    test_user();
    test_sse();
    test_written_code();
    test_devices();
    test_timers();
    test_lines();
    test_processors();
    tmk_log("all passed");
    exit_with(0);
}
