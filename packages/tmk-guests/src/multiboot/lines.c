/*
 * Interrupt lines: through the I/O APIC from the interval timer, the clock and the serial port, and edges and levels that
 * pc-testdev drives; through the 8259s to LINT0.
 */
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

#define CLOCK_INDEX 0x70
#define CLOCK_DATA 0x71
#define CLOCK_B 11
#define CLOCK_C 12
#define CLOCK_24_HOURS 0x02
#define CLOCK_PERIODIC 0x40
#define CLOCK_LINE 8
#define CLOCK_TICKS 3

#define COM1_INTERRUPT_ENABLE 0x3f9
#define COM1_INTERRUPT_ID 0x3fa
#define COM1_MODEM_CONTROL 0x3fc
#define COM1_TRANSMITTER 0x02
#define COM1_OUT2 0x08
#define COM1_LINE 4

#define PIC_COMMAND 0x20
#define PIC_DATA 0x21
#define PIC_POLL 0x0c
#define PIC_EOI 0x20
/* Line 0 is asked for. */
#define PIC_POLLED_TIMER 0x80

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

static void start_timer(void)
{
    out8(PIT_CONTROL, PIT_ONE_SHOT_BOTH_BYTES);
    out8(PIT_CHANNEL_0, PIT_COUNTS & 0xff);
    out8(PIT_CHANNEL_0, PIT_COUNTS >> 8);
}

static void edge_of_the_timer(void)
{
    set_entry(PIT_PIN, VECTOR);
    start_timer();
    halt_until(&taken, 1);
    set_entry(PIT_PIN, MASKED);
}

static uint8_t clock_register(uint8_t index)
{
    out8(CLOCK_INDEX, index);
    return in8(CLOCK_DATA);
}

static void set_clock_mode(uint8_t mode)
{
    out8(CLOCK_INDEX, CLOCK_B);
    out8(CLOCK_DATA, mode);
}

static void on_clock(struct interrupt_frame *frame)
{
    (void)frame;
    taken = taken + 1;
    ASSERT(clock_register(CLOCK_C) & CLOCK_PERIODIC);
    apic_eoi();
}

/* The line stays high until the reason is read. */
static void periods_of_the_clock(void)
{
    taken = 0;
    interrupts_handle(VECTOR, on_clock);
    set_entry(CLOCK_LINE, VECTOR);
    set_clock_mode(CLOCK_24_HOURS | CLOCK_PERIODIC);
    halt_until(&taken, CLOCK_TICKS);
    set_clock_mode(CLOCK_24_HOURS);
    set_entry(CLOCK_LINE, MASKED);
}

static void on_empty_transmitter(struct interrupt_frame *frame)
{
    (void)frame;
    taken = taken + 1;
    ASSERT_EQ(in8(COM1_INTERRUPT_ID) & 0xf, COM1_TRANSMITTER);
    apic_eoi();
}

static void empty_transmitter(void)
{
    taken = 0;
    interrupts_handle(VECTOR, on_empty_transmitter);
    set_entry(COM1_LINE, VECTOR);
    out8(COM1_MODEM_CONTROL, COM1_OUT2);
    out8(COM1_INTERRUPT_ENABLE, COM1_TRANSMITTER);
    halt_until(&taken, 1);
    out8(COM1_INTERRUPT_ENABLE, 0);
    set_entry(COM1_LINE, MASKED);
}

static void on_controllers(struct interrupt_frame *frame)
{
    (void)frame;
    taken = taken + 1;
    out8(PIC_COMMAND, PIC_POLL);
    ASSERT_EQ(in8(PIC_COMMAND), PIC_POLLED_TIMER);
    out8(PIC_COMMAND, PIC_EOI);
    apic_eoi();
}

/* LINT0 with a vector of its own, since nobody under a paravisor asks the 8259s for theirs: the handler polls. */
static void controllers(void)
{
    static const uint8_t words[] = {0x20, 0x04, 0x01, 0xfe};
    taken = 0;
    interrupts_handle(VECTOR, on_controllers);
    out8(PIC_COMMAND, 0x11);
    for (unsigned i = 0; i < sizeof(words); i++)
        out8(PIC_DATA, words[i]);
    apic_write(APIC_LVT_LINT0, VECTOR);
    for (uint32_t i = 1; i <= 2; i++) {
        start_timer();
        halt_until(&taken, i);
    }
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    out8(PIC_DATA, 0xff);
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
    periods_of_the_clock();
    empty_transmitter();
    controllers();
    interrupts_handle(VECTOR, on_line);
    if (has_testdev()) {
        edges();
        levels();
        tmk_log("lines: edges and levels");
    } else {
        tmk_log("lines: an edge");
    }
}
