import { HvIsolationType } from '@paravisor/hcl-protocol';
import type { BackingParameters, BackingShared, BackingVp, BackingVpContext, HardwareIsolatedGuestTimer } from '@paravisor/virt-core';
import { snpFixedMsrs } from './fixed-msrs.js';
import { GuestPages } from './guest-memory.js';
import type { GuestPagesState } from './guest-memory.js';
import { snpNativeCpuid } from './native-cpuid.js';
import { checkTimerCapability, createSnpGuestTimer } from './timer/index.js';
import type { SnpGuestTimerOptions, SnpTimerVp } from './timer/index.js';
import { SnpVp } from './vp.js';

/** EAX of CPUID 0x40000004 without secure AVIC: what the guest is recommended to use. */
const ENLIGHTENMENTS = 0xe2c;

/** The partition-wide part of the SNP backing. */
export class SnpShared implements BackingShared {
  readonly guestTimer: HardwareIsolatedGuestTimer<SnpTimerVp>;
  readonly usesHardwareTimer = false;
  readonly hypervisorCpuid = { isolationType: HvIsolationType.Snp, enlightenments: ENLIGHTENMENTS } as const;
  readonly fixedMsrs = snpFixedMsrs;
  readonly nativeCpuid = snpNativeCpuid;
  /** openvmm's SNP backing marks the VP running when it offers, whatever RFLAGS.IF. */
  readonly interruptEndsHaltWithoutIf = true;

  readonly #pages: GuestPages;

  /** @throws {StartupError} see `checkTimerCapability` and `GuestPages`. */
  constructor({ hcl }: BackingParameters, timer: SnpGuestTimerOptions) {
    checkTimerCapability(hcl);
    this.#pages = new GuestPages(hcl);
    this.guestTimer = createSnpGuestTimer(timer);
  }

  save(): GuestPagesState {
    return this.#pages.save();
  }

  restore(state: GuestPagesState): void {
    this.#pages.restore(state);
  }

  createVp(context: BackingVpContext): BackingVp {
    return new SnpVp(context, this.guestTimer, this.#pages);
  }
}
