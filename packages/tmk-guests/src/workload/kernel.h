/* The workload as a Multiboot kernel, 32- or 64-bit. It speaks through COM1 and ends by the exit port, with 0. */
#pragma once

#include <stdint.h>

struct multiboot_information;
void kernel_start(uint32_t magic, const struct multiboot_information *information);
_Noreturn void exit_with(uint32_t value);

/* Has a synthetic timer interrupt the phases at 1000 Hz: the word `ticks` of the command line, 64-bit only. */
void start_ticks(void);
