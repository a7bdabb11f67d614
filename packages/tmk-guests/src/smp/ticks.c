/* Timers on all VPs. */
#include "../lib/ticks.h"
#include "../lib/tmk.h"
#include "smp.h"

#define TICKS 1000
#define A_FEW 50

TMK_TEST(smp, ticks)
{
    if (!vps_at_least(2))
        return;
    ticks_on_every_vp(TICKS, vp_start_by_hypercall);
}

TMK_TEST(smp, ticks_after_sipi)
{
    if (!vps_at_least(2))
        return;
    ticks_on_every_vp(A_FEW, vp_start_by_sipi);
}
