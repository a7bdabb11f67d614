import { Stimer0Flag } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, SnpRunPage } from '@paravisor/hcl-protocol';
import type { BackingVp, HardwareIsolatedGuestTimer, Synic } from '@paravisor/virt-core';

const STIMER0 = 0;
const VTL0 = 0;
const TAKEN = Stimer0Flag.KernelUpdate | Stimer0Flag.Expired;

/**
 * User mode's side of the hand-off of VTL0's STIMER0 to the driver (openvmm PR 4224), for one VP. The driver may take the guest's writes to the count
 * while VTL0 runs; the timer itself stays here: its scan delivers.
 */
export class Stimer0Handoff {
  readonly #context: SnpRunPage['context'];
  readonly #synic: Synic;

  constructor(context: SnpRunPage['context'], vtl0Synic: Synic) {
    this.#context = context;
    this.#synic = vtl0Synic;
  }

  /** Publishes the config for a run of VTL0; for VTL1 the driver is to take nothing. */
  begin(vtl: number): void {
    const context = this.#context;
    if (vtl === VTL0) {
      context.stimer0Config.set(this.#synic.timers[STIMER0]!.config);
      context.stimer0Flags |= Stimer0Flag.ConfigValid;
    } else {
      context.stimer0Flags &= ~Stimer0Flag.ConfigValid;
    }
  }

  /**
   * Takes what the driver took: the timer's count as of the reference time of the guest's write. An expiry by itself says nothing. False when the driver
   * took a write while VTL1 ran, which openvmm asserts never to be.
   */
  end(vtl: number): boolean {
    const context = this.#context;
    const flags = context.stimer0Flags;
    if ((flags & TAKEN) === 0) return true;
    context.stimer0Flags = flags & ~TAKEN;
    if ((flags & Stimer0Flag.KernelUpdate) === 0) return true;
    if (vtl !== VTL0) return false;
    this.#synic.writeCountAt(STIMER0, context.stimer0Count, context.stimer0ProgrammedRefTime);
    return true;
  }
}

/** What the timer needs of a VP. */
export interface Stimer0HandoffHolder {
  readonly stimer0: Stimer0Handoff;
  /** The driver broke the rules of the hand-off: the VP ends. */
  handoffBroken(vtl: number): void;
}

/** A guest timer whose STIMER0 is handed to the driver for each run. Deadlines are `inner`'s. */
export class Stimer0HandoffTimer<Vp extends BackingVp & Stimer0HandoffHolder> implements HardwareIsolatedGuestTimer<Vp> {
  readonly #inner: HardwareIsolatedGuestTimer<Vp>;

  constructor(inner: HardwareIsolatedGuestTimer<Vp>) {
    this.#inner = inner;
  }

  isHardwareVirtualized(): boolean {
    return this.#inner.isHardwareVirtualized();
  }

  updateDeadline(vp: Vp, now: ReadonlyU64, next: ReadonlyU64): void {
    this.#inner.updateDeadline(vp, now, next);
  }

  clearDeadline(vp: Vp): void {
    this.#inner.clearDeadline(vp);
  }

  beginLowerVtlRun(vp: Vp, vtl: number): void {
    vp.stimer0.begin(vtl);
    this.#inner.beginLowerVtlRun(vp, vtl);
  }

  endLowerVtlRun(vp: Vp, vtl: number): void {
    this.#inner.endLowerVtlRun(vp, vtl);
    if (!vp.stimer0.end(vtl)) vp.handoffBroken(vtl);
  }
}
