/** The TDX backing's part for a whole partition. */
import { HvIsolationType } from '@paravisor/hcl-protocol';
import { VmTimeGuestTimer } from '@paravisor/virt-core';
import type { BackingParameters, BackingShared, BackingVp, BackingVpContext, HardwareIsolatedGuestTimer } from '@paravisor/virt-core';
import { supportsLowerVtlTimerVirt } from './timer-capability.js';
import { TscDeadlineService } from './tsc-deadline-service.js';
import { TdxVp } from './vp.js';

/** EAX of CPUID 0x40000004 under TDX (openvmm). */
const ENLIGHTENMENTS = 0xa24;

/** The TSC deadline service when the driver can and the option does not forbid it, else the VmTime timer. Throws `StartupError`. */
export function tdxGuestTimer({ hcl, disableLowerVtlTimerVirt, tscFrequency }: BackingParameters): HardwareIsolatedGuestTimer<TdxVp> {
  const supported = supportsLowerVtlTimerVirt(hcl);
  return supported && !disableLowerVtlTimerVirt ? new TscDeadlineService(tscFrequency) : new VmTimeGuestTimer();
}

export class TdxShared implements BackingShared {
  readonly guestTimer: HardwareIsolatedGuestTimer;
  readonly usesHardwareTimer: boolean;
  readonly hypervisorCpuid = { isolationType: HvIsolationType.Tdx, enlightenments: ENLIGHTENMENTS };
  readonly interruptEndsHaltWithoutIf = false;
  readonly #timer: HardwareIsolatedGuestTimer<TdxVp>;

  /** Throws `StartupError` when the machine cannot carry a TDX partition. */
  constructor(parameters: BackingParameters) {
    this.#timer = tdxGuestTimer(parameters);
    this.guestTimer = this.#timer as HardwareIsolatedGuestTimer;
    this.usesHardwareTimer = this.#timer.isHardwareVirtualized();
  }

  createVp(context: BackingVpContext): BackingVp {
    return new TdxVp(context, this.#timer);
  }
}
