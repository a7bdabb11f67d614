import { U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { BackingVp } from '../contract/backing-vp.js';
import type { HardwareIsolatedGuestTimer } from '../contract/guest-timer.js';
import type { VmTimeAccess } from '../time/index.js';

/** What the timer needs of a VP: the access a backing was given in `BackingVpContext`. */
export interface VmTimeHolder {
  readonly vmTime: VmTimeAccess;
}

/** A backing's VP that can fall back on VmTime. */
export interface VmTimeBackingVp extends BackingVp, VmTimeHolder {}

/**
 * The guest timer without hardware: a lower VTL's deadline is a VmTime timeout of VTL2, for which the VP loop arms the host's timer (openvmm
 * `VmTimeGuestTimer`, PR 2483). The timeout is shared with the local APIC's timer, so clearing here forgets that one too; the APIC sets its own again
 * when it is scanned later in the round.
 */
export class VmTimeGuestTimer<Vp extends VmTimeBackingVp = VmTimeBackingVp> implements HardwareIsolatedGuestTimer<Vp> {
  readonly #timeout = new U64();
  readonly #ahead = new U64();

  isHardwareVirtualized(): boolean {
    return false;
  }

  /** Timeout = VmTime now + (next − now), 0 ahead when `next` is numerically in the past; kept unless an earlier one is set. */
  updateDeadline(vp: VmTimeHolder, now: ReadonlyU64, next: ReadonlyU64): void {
    const timeout = this.#timeout;
    vp.vmTime.now(timeout);
    const ahead = this.#ahead.set(next);
    if (!ahead.isBelow(now)) timeout.add(ahead.sub(now));
    vp.vmTime.setTimeoutIfBefore(timeout);
  }

  clearDeadline(vp: VmTimeHolder): void {
    vp.vmTime.cancelTimeout();
  }

  /** Nothing travels with an entry: the host's timer is armed by the loop. */
  beginLowerVtlRun(): void {}

  /** Nothing comes back with an exit. */
  endLowerVtlRun(): void {}
}
