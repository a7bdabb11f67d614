/* What the hostile tests share: raw commands, RAM's end, values without a pattern. */
#pragma once

#include <stdint.h>

#include "../lib/tmk.h"

/* A test that faults, as it should: an expected failure. */
#define HOSTILE_FAULT(test) TMK_TEST_WITH_FLAGS(hostile, test, TMK_EXPECTED_FAILURE)

/* No device and no RAM is here under the partition's default devices. */
#define UNCLAIMED_ADDRESS 0x80000000ul
/* Where tmk_vmm listens for commands. */
#define COMMAND_ADDRESS 0xffff0000ul

/* Sends whatever is at a guest physical address as a command; the address need not be one. */
void send_raw(uint64_t physical_address);

/* The first byte after RAM, by probing: what nobody claims reads all ones, and RAM this far up is still zero. */
uint64_t ram_end(void);

/* The next of a fixed sequence of 64-bit values (xorshift64, Marsaglia 2003). */
uint64_t garbage(void);
