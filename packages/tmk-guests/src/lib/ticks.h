/* A 1000 Hz tick on every VP at once, as a guest operating system has it. */
#pragma once

#include <stdint.h>

#include "vps.h"

/*
 * Has every VP tick `count` times at 1000 Hz by synthetic timer 0 in direct mode, VPs with an odd index halted between
 * ticks, the others spinning; checks that none came early and that none stayed away. The VPs are started by hypercall,
 * or by INIT and SIPI.
 */
void ticks_on_every_vp(uint32_t count, vp_start *start);
