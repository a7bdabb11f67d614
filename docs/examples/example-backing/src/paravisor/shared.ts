/** The partition-wide part of the backing. */
import { HvIsolationType } from '@paravisor/hcl-protocol';
import { StartupError, VmTimeGuestTimer } from '@paravisor/virt-core';
import type { BackingParameters, BackingShared, BackingVp, BackingVpContext, HardwareIsolatedGuestTimer } from '@paravisor/virt-core';
import { EXAMPLE_CONTEXT_CAPABILITY } from '../abi/context.js';
import { ExampleVp } from './vp.js';

export class ExampleShared implements BackingShared {
  /** There is no hardware for it: deadlines are timeouts of VTL2. The loop hands the timer none but this backing's own VPs. */
  readonly guestTimer: HardwareIsolatedGuestTimer;
  readonly usesHardwareTimer = false;
  /** The guest is told of no isolation, and recommended what a TDX guest is. */
  readonly hypervisorCpuid = { isolationType: HvIsolationType.None, enlightenments: 0xa24 } as const;
  /** Every architectural MSR that exits reads 0. */
  readonly fixedMsrs = new Map();
  /** The leaves every guest sees, and no others. */
  readonly nativeCpuid = { maxBasicLeaf: 0xd, maxExtendedLeaf: 0x80000008 | 0, additionalLeaves: new Map() };
  /** HLT ends with an interrupt the guest can take (SDM volume 2, HLT). */
  readonly interruptEndsHaltWithoutIf = false;
  readonly #timer: HardwareIsolatedGuestTimer<ExampleVp> = new VmTimeGuestTimer<ExampleVp>();

  /** @throws {StartupError} when the driver is another backing's. */
  constructor({ hcl }: BackingParameters) {
    if (hcl.checkExtension(EXAMPLE_CONTEXT_CAPABILITY) !== 1) {
      throw new StartupError('example-no-context', 'the driver does not keep the example context in the run page: this backing needs its own machine half');
    }
    this.guestTimer = this.#timer as HardwareIsolatedGuestTimer;
  }

  createVp(context: BackingVpContext): BackingVp {
    return new ExampleVp(context, this.#timer);
  }

  /** Nothing here changes after the start. */
  save(): null {
    return null;
  }

  restore(): void {}
}
