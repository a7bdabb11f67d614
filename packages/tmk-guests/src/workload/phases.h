/*
 * The four phases of the workload: integer code as compilers make it, over registers, bytes, words and chains. The same
 * files make the 64-bit guest, the 32-bit guest and the program for Linux, with the same checksums.
 */
#pragma once

#include <stdint.h>

struct phase {
    const char *name;
    /* What one round of the phase computes, folded into 32 bits. Every round is the same. */
    uint32_t (*round)(void);
};

#define PHASES 4
extern const struct phase phases[PHASES];
