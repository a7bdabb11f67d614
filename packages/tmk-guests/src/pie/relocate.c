/* Applies R_X86_64_RELATIVE relocations (System V ABI, x86-64 supplement, 4.4): word at base + offset = base + addend. */
#include <stdint.h>

#define DT_NULL 0
#define DT_RELA 7
#define DT_RELASZ 8
#define DT_RELAENT 9
#define R_X86_64_RELATIVE 8

struct dynamic {
    uint64_t tag;
    uint64_t value;
};

struct rela {
    uint64_t offset;
    uint64_t info;
    uint64_t addend;
};

/* How many were applied; a test wants to know. */
__attribute__((visibility("hidden"))) uint64_t relocations_applied;

/* Called by _start before anything else: no pointer in any data is valid yet. */
__attribute__((visibility("hidden"))) void relocate(uint64_t base, const struct dynamic *dynamic)
{
    uint64_t table = 0, size = 0, stride = sizeof(struct rela);
    for (; dynamic->tag != DT_NULL; dynamic++) {
        if (dynamic->tag == DT_RELA)
            table = base + dynamic->value;
        else if (dynamic->tag == DT_RELASZ)
            size = dynamic->value;
        else if (dynamic->tag == DT_RELAENT)
            stride = dynamic->value;
    }
    for (uint64_t at = 0; at < size; at += stride) {
        const struct rela *rela = (const struct rela *)(table + at);
        if ((uint32_t)rela->info != R_X86_64_RELATIVE)
            continue;
        *(volatile uint64_t *)(base + rela->offset) = base + rela->addend;
        relocations_applied++;
    }
}
