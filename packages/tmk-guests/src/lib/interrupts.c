#include "interrupts.h"

#include <stddef.h>

#include "tmk.h"
#include "x86.h"

_Static_assert(sizeof(struct interrupt_frame) == 22 * 8, "vectors.S pushes 15 registers, vector and error code");

#define VECTORS 256
#define CODE_SELECTOR 8            /* start.S */
#define VECTOR_STUB_SIZE 16        /* vectors.S */
#define PRESENT_INTERRUPT_GATE 0x8e /* SDM volume 3, 64-bit IDT gate: present, DPL 0, type 14 */

struct idt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct fixup {
    uint64_t at;
    uint64_t resume;
};

extern const uint8_t vector_stubs[];
extern const struct fixup tmk_fixups_start[], tmk_fixups_end[];

static struct idt_gate idt[VECTORS] __attribute__((aligned(16)));
static interrupt_handler *handlers[VECTORS];
static volatile struct fault recovered;

void interrupts_initialize(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        uint64_t stub = (uint64_t)vector_stubs + vector * VECTOR_STUB_SIZE;
        idt[vector] = (struct idt_gate){
            .offset_low = (uint16_t)stub,
            .selector = CODE_SELECTOR,
            .attributes = PRESENT_INTERRUPT_GATE,
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } descriptor = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};
    asm volatile("lidt %0" : : "m"(descriptor) : "memory");
}

void interrupts_handle(uint8_t vector, interrupt_handler *handler)
{
    *(interrupt_handler *volatile *)&handlers[vector] = handler;
}

void fault_clear(void)
{
    recovered.taken = false;
    recovered.vector = 0;
    recovered.error_code = 0;
}

struct fault fault_last(void)
{
    return recovered;
}

static const struct fixup *find_fixup(uint64_t rip)
{
    for (const struct fixup *fixup = tmk_fixups_start; fixup < tmk_fixups_end; fixup++) {
        if (fixup->at == rip)
            return fixup;
    }
    return NULL;
}

/* Called by vectors.S. Registers changed in the frame are changed in the interrupted code. */
void interrupt_dispatch(struct interrupt_frame *frame)
{
    interrupt_handler *handler = handlers[frame->vector];
    if (handler) {
        handler(frame);
        return;
    }
    if (frame->vector < VECTOR_FIRST_EXTERNAL) {
        const struct fixup *fixup = find_fixup(frame->rip);
        if (fixup) {
            recovered.vector = frame->vector;
            recovered.error_code = frame->error_code;
            recovered.taken = true;
            frame->rip = fixup->resume;
            return;
        }
    }
    PANIC("unexpected vector %lu, error code 0x%lx, RIP 0x%lx, CR2 0x%lx", frame->vector, frame->error_code, frame->rip,
          read_cr2());
}
