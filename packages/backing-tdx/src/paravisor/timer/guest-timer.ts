import { VmTimeGuestTimer } from '@paravisor/virt-core';
import type { BackingParameters, HardwareIsolatedGuestTimer, VmTimeBackingVp } from '@paravisor/virt-core';
import type { TimerRemedies } from '../settings.js';
import { supportsLowerVtlTimerVirt } from './timer-capability.js';
import { TscDeadlineService } from './tsc-deadline-service.js';
import type { TscDeadlineVp } from './tsc-deadline-service.js';

/** A VP either of a TDX partition's guest timers can serve. */
export type TdxTimerVp = VmTimeBackingVp & TscDeadlineVp;

/** Either of them. */
export type TdxGuestTimer = HardwareIsolatedGuestTimer<TdxTimerVp> & { expired?(vp: TscDeadlineVp): void };

/** The partition's guest timer: the TSC deadline service when the driver can and the option does not forbid it, else VmTime. Throws `StartupError`. */
export function createTdxGuestTimer({ hcl, disableLowerVtlTimerVirt, tscFrequency }: BackingParameters, remedies?: TimerRemedies): TdxGuestTimer {
  const supported = supportsLowerVtlTimerVirt(hcl);
  return supported && !disableLowerVtlTimerVirt ? new TscDeadlineService(tscFrequency, remedies) : new VmTimeGuestTimer();
}
