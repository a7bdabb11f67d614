#include "ticks.h"

#include "apic.h"
#include "hypercall.h"
#include "hyperv.h"
#include "interrupts.h"
#include "tmk.h"
#include "vps.h"
#include "wait.h"

#define VECTOR 0x57
#define PERIOD MILLISECONDS(1)

static uint32_t target;
static struct {
    volatile uint32_t ticks;
    volatile uint32_t finished;
    volatile uint32_t early;
    uint64_t start;
} vps[VPS_MAX];

/* Tick n, from 0, is not before n + 1 periods: a period counts from where the tick before it was noticed, or earlier. */
static void on_tick(struct interrupt_frame *frame)
{
    (void)frame;
    uint32_t vp = vp_here();
    uint32_t n = vps[vp].ticks + 1;
    if (hv_reference_time() < vps[vp].start + n * PERIOD)
        vps[vp].early = vps[vp].early + 1;
    if (n == target)
        stimer_set_config(0, 0);
    vps[vp].ticks = n;
    apic_eoi();
}

static void tick(void)
{
    uint32_t vp = vp_here();
    stimer_set_config(0, STIMER_AUTO_ENABLE | STIMER_PERIODIC | STIMER_DIRECT | STIMER_APIC_VECTOR(VECTOR));
    vps[vp].start = hv_reference_time();
    stimer_set_count(0, PERIOD);
    if (vp % 2)
        ASSERT_LE(halt_until(&vps[vp].ticks, target), target);
    else
        ASSERT(spin_until(&vps[vp].ticks, target, hv_reference_time() + 2 * target * PERIOD));
    spin_for(5 * PERIOD);
    ASSERT_EQ(vps[vp].ticks, target);
    ASSERT_EQ(vps[vp].early, 0);
    vps[vp].finished = 1;
}

static void begin(void)
{
    apic_enable(X2APIC);
    tick();
}

void ticks_on_every_vp(uint32_t count, vp_start *start)
{
    hv_initialize(HV_ACCESS_REFERENCE_COUNTER | HV_ACCESS_SYNTHETIC_TIMERS | HV_ACCESS_FREQUENCIES, HV_FREQUENCIES_AVAILABLE | HV_DIRECT_SYNTHETIC_TIMERS);
    hypercall_initialize();
    apic_enable(X2APIC);
    interrupts_handle(VECTOR, on_tick);
    target = count;
    for (uint32_t vp = 1; vp < vp_count(); vp++)
        start(vp, begin);
    tick();
    for (uint32_t vp = 1; vp < vp_count(); vp++)
        ASSERT(spin_until(&vps[vp].finished, 1, hv_reference_time() + SECONDS(1)));
    tmk_log("%u ticks on every VP", count);
}
