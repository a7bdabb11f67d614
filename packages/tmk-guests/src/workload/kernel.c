#include "kernel.h"

#include <stddef.h>

#include "../lib/x86.h"
#include "workload.h"

#define BOOTLOADER_MAGIC 0x2badb002u
#define COM1 0x3f8
#define LINE_STATUS (COM1 + 5)
#define TRANSMITTER_EMPTY 0x20
#define EXIT_PORT 0xf4

/* The information structure, as far as it is used (Multiboot Specification 0.6.96, 3.3). */
struct multiboot_information {
    uint32_t flags, memory_low, memory_high, boot_device, command_line;
};
#define INFORMATION_COMMAND_LINE (1u << 2)

void put_text(const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        while (!(in8(LINE_STATUS) & TRANSMITTER_EMPTY))
            ;
        out8(COM1, (uint8_t)text[i]);
    }
}

_Noreturn void exit_with(uint32_t value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"((uint16_t)EXIT_PORT));
    for (;;)
        asm volatile("cli\n\thlt" : : : "memory");
}

/* Called by _start. The loader's own words may come first: QEMU puts the file's name there. */
void kernel_start(uint32_t magic, const struct multiboot_information *information)
{
    if (magic != BOOTLOADER_MAGIC)
        exit_with(1);
    const char *command_line = information->flags & INFORMATION_COMMAND_LINE ? (const char *)(uintptr_t)information->command_line : "";
#ifdef __x86_64__
    if (has_word(command_line, "ticks"))
        start_ticks();
#endif
    run_workload(command_line);
    exit_with(0);
}
