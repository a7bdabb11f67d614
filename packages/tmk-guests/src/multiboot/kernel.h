/* What the kernel tests, in this order; each logs one line or panics. */
#pragma once

#include <stdint.h>

struct multiboot_information;
void kernel_start(uint32_t magic, const struct multiboot_information *information);

void kernel_tests(void);
