#include "kernel.h"

#include <stdarg.h>

#include "../lib/apic.h"
#include "../lib/format.h"
#include "../lib/hyperv.h"
#include "../lib/interrupts.h"
#include "../lib/tmk.h"
#include "workload.h"

#define VECTOR 0x57
#define LINE_LENGTH 256

static void on_tick(struct interrupt_frame *frame)
{
    (void)frame;
    apic_eoi();
}

void start_ticks(void)
{
    interrupts_initialize();
    hv_initialize(HV_ACCESS_SYNTHETIC_TIMERS | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE | HV_DIRECT_SYNTHETIC_TIMERS);
    apic_enable(X2APIC);
    interrupts_handle(VECTOR, on_tick);
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_PERIODIC | STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    stimer_set_count(0, MILLISECONDS(1));
    interrupts_on();
}

/* The library's assertions speak by these, as a test microkernel's do. */
static void say_formatted(const char *format, va_list arguments)
{
    char line[LINE_LENGTH];
    put_text(line, (uint32_t)format_text(line, sizeof(line), format, arguments));
    put_text("\n", 1);
}

void tmk_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_formatted(format, arguments);
    va_end(arguments);
}

void tmk_panic(const char *file, uint32_t line, const char *format, ...)
{
    tmk_log("panic at %s:%u:", file, line);
    va_list arguments;
    va_start(arguments, format);
    say_formatted(format, arguments);
    va_end(arguments);
    exit_with(1);
}
