/* What the kernel tests; each logs one line or panics. The order is that of kernel.c. */
#pragma once

#include <stdint.h>

struct multiboot_information;
void kernel_start(uint32_t magic, const struct multiboot_information *information);

void test_faults(void);
/* Behind test_faults, which loads the TSS. */
void test_user(void);
void test_sse(void);
void test_written_code(void);
void test_devices(void);
void test_timers(void);
void test_lines(void);
void test_processors(void);

/* Lets privilege level 3 call a vector by INT n. */
void user_may_call(uint8_t vector);
