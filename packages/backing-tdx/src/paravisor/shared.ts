import { HvIsolationType } from '@paravisor/hcl-protocol';
import type { BackingParameters, BackingShared, BackingVp, BackingVpContext, HardwareIsolatedGuestTimer } from '@paravisor/virt-core';
import { tdxFixedMsrs } from './fixed-msrs.js';
import { tdxNativeCpuid } from './native-cpuid.js';
import { createTdxGuestTimer } from './timer/index.js';
import type { TdxGuestTimer } from './timer/index.js';
import { TdxVp } from './vp.js';
import type { TdxSettings } from './settings.js';

/** EAX of CPUID 0x40000004 under TDX (openvmm). */
const ENLIGHTENMENTS = 0xa24;

/** The partition-wide part of the TDX backing. */
export class TdxShared implements BackingShared {
  readonly guestTimer: HardwareIsolatedGuestTimer;
  readonly usesHardwareTimer: boolean;
  readonly hypervisorCpuid = { isolationType: HvIsolationType.Tdx, enlightenments: ENLIGHTENMENTS } as const;
  readonly fixedMsrs = tdxFixedMsrs;
  readonly nativeCpuid = tdxNativeCpuid;
  /** openvmm's TDX backing ends a HLT only with what the guest can take. */
  readonly interruptEndsHaltWithoutIf = false;
  readonly #settings: TdxSettings;
  readonly #timer: TdxGuestTimer;

  /** Throws `StartupError` when the machine cannot carry a TDX partition. */
  constructor(parameters: BackingParameters, settings: TdxSettings) {
    this.#settings = settings;
    this.#timer = createTdxGuestTimer(parameters, settings);
    this.guestTimer = this.#timer as HardwareIsolatedGuestTimer;
    this.usesHardwareTimer = this.#timer.isHardwareVirtualized();
  }

  /** The timer keeps its state with each VP. */
  save(): null {
    return null;
  }

  restore(): void {}

  createVp(context: BackingVpContext): BackingVp {
    return new TdxVp(context, this.#timer, this.#settings);
  }
}
