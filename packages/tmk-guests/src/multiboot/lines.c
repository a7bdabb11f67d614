/* Interrupt lines through the I/O APIC: an edge from the interval timer, edges and levels that pc-testdev drives. */
#include "kernel.h"

#include "../lib/apic.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "../lib/wait.h"
#include "../lib/x86.h"

#define IO_APIC 0xfec00000ul
#define IO_APIC_DATA (IO_APIC + 0x10)
#define REDIRECTION(pin) (0x10u + 2 * (pin))
#define REMOTE_IRR (1u << 14)
#define LEVEL (1u << 15)
#define MASKED (1u << 16)

#define PIT_CHANNEL_0 0x40
#define PIT_CONTROL 0x43
#define PIT_ONE_SHOT_BOTH_BYTES 0x30
#define PIT_COUNTS 2000
/* ISA interrupt 0 comes in there, as on a PC. */
#define PIT_PIN 2

#define TESTDEV_DATA 0xe0
#define TESTDEV_LINE(line) ((uint16_t)(0x2000 + (line)))
#define LINE 5
#define VECTOR 0x71
#define ENDS_OF_A_LEVEL 3

static volatile uint32_t taken;
/* A handler lowers the line when it has run so often. */
static uint32_t lower_at;

static void on_line(struct interrupt_frame *frame)
{
    (void)frame;
    taken = taken + 1;
    if (taken == lower_at)
        out8(TESTDEV_LINE(LINE), 0);
    apic_eoi();
}

static uint32_t entry(uint32_t pin)
{
    mmio_write32(IO_APIC, REDIRECTION(pin));
    return mmio_read32(IO_APIC_DATA);
}

/* Fixed, to this processor. */
static void set_entry(uint32_t pin, uint32_t low)
{
    mmio_write32(IO_APIC, REDIRECTION(pin) + 1);
    mmio_write32(IO_APIC_DATA, apic_id() << 24);
    mmio_write32(IO_APIC, REDIRECTION(pin));
    mmio_write32(IO_APIC_DATA, low);
}

static void edge_of_the_timer(void)
{
    set_entry(PIT_PIN, VECTOR);
    out8(PIT_CONTROL, PIT_ONE_SHOT_BOTH_BYTES);
    out8(PIT_CHANNEL_0, PIT_COUNTS & 0xff);
    out8(PIT_CHANNEL_0, PIT_COUNTS >> 8);
    halt_until(&taken, 1);
    set_entry(PIT_PIN, MASKED);
}

static bool has_testdev(void)
{
    out8(TESTDEV_DATA, 0x5a);
    return in8(TESTDEV_DATA) == 0x5a;
}

/* An edge interrupts once, however long the line is high, and a masked pin forgets it. */
static void edges(void)
{
    taken = 0;
    set_entry(LINE, VECTOR | MASKED);
    out8(TESTDEV_LINE(LINE), 1);
    set_entry(LINE, VECTOR);
    out8(TESTDEV_LINE(LINE), 0);
    out8(TESTDEV_LINE(LINE), 1);
    halt_until(&taken, 1);
    ASSERT_EQ(entry(LINE), VECTOR);
    out8(TESTDEV_LINE(LINE), 0);
    out8(TESTDEV_LINE(LINE), 1);
    halt_until(&taken, 2);
    out8(TESTDEV_LINE(LINE), 0);
    set_entry(LINE, MASKED);
}

/* A level interrupts until it is lowered, each time at the end of the interrupt before. */
static void levels(void)
{
    taken = 0;
    lower_at = ENDS_OF_A_LEVEL;
    set_entry(LINE, VECTOR | LEVEL);
    out8(TESTDEV_LINE(LINE), 1);
    ASSERT_EQ(entry(LINE), VECTOR | LEVEL | REMOTE_IRR);
    halt_until(&taken, ENDS_OF_A_LEVEL);
    ASSERT_EQ(entry(LINE), VECTOR | LEVEL);
    /* A masked pin remembers a level. */
    set_entry(LINE, VECTOR | LEVEL | MASKED);
    out8(TESTDEV_LINE(LINE), 1);
    lower_at = ENDS_OF_A_LEVEL + 1;
    set_entry(LINE, VECTOR | LEVEL);
    halt_until(&taken, ENDS_OF_A_LEVEL + 1);
    ASSERT_EQ(entry(LINE), VECTOR | LEVEL);
    set_entry(LINE, MASKED);
}

void test_lines(void)
{
    interrupts_handle(VECTOR, on_line);
    edge_of_the_timer();
    if (has_testdev()) {
        edges();
        levels();
        tmk_log("lines: edges and levels");
    } else {
        tmk_log("lines: an edge");
    }
}
