import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { VmTimeAccess } from '@paravisor/virt-core';

export type RearmScanState = {
  /** Null when nothing is armed. */
  readonly armed: null | { readonly refTime: string; readonly timeout: string };
  /** Reference time of this scan's earliest deadline; null when it saw none. */
  readonly earliest: string | null;
};

/**
 * What one VP remembers from scan to scan so that a deadline that has not changed is not armed anew (openvmm PR 3935). A timeout made afresh each round
 * differs by the time that has passed since, down to 100 ns of rounding, and each difference would cost a hypervisor exit to program the host's timer.
 */
export class RearmScan {
  /** Reference time the armed timeout was made for; meaningful while `hasArmed`. */
  readonly armedRefTime = new U64();
  /** The timeout made for it, VmTime. */
  readonly armedTimeout = new U64();
  hasArmed = false;
  /** The earliest reference time of this scan; meaningful while `sawDeadline`. */
  readonly earliestRefTime = new U64();
  /** Whether this scan saw a deadline. */
  sawDeadline = false;
  readonly #ahead = new U64();

  save(): RearmScanState {
    return {
      armed: this.hasArmed ? { refTime: saveU64(this.armedRefTime), timeout: saveU64(this.armedTimeout) } : null,
      earliest: this.sawDeadline ? saveU64(this.earliestRefTime) : null,
    };
  }

  restore({ armed, earliest }: RearmScanState): void {
    this.hasArmed = armed !== null;
    if (armed !== null) {
      restoreU64(this.armedRefTime, armed.refTime);
      restoreU64(this.armedTimeout, armed.timeout);
    }
    this.sawDeadline = earliest !== null;
    if (earliest !== null) restoreU64(this.earliestRefTime, earliest);
  }

  /** Starts a new scan. What is armed stays if the scan before saw a deadline; else it is forgotten, and the timeout cancelled. */
  begin(vmTime: VmTimeAccess): void {
    if (!this.sawDeadline) this.hasArmed = false;
    this.sawDeadline = false;
    if (!this.hasArmed) vmTime.cancelTimeout();
  }

  /**
   * One deadline of this scan, reference times in 100 ns. Ignored unless it is the scan's earliest (unsigned). For the reference time that is armed
   * already its timeout is put back; for another a new one is made, nothing ahead when `next` is numerically in the past.
   */
  deadline(vmTime: VmTimeAccess, now: ReadonlyU64, next: ReadonlyU64): void {
    const { armedTimeout, earliestRefTime } = this;
    if (this.sawDeadline && !isBelow(next, earliestRefTime)) return;
    earliestRefTime.set(next);
    this.sawDeadline = true;
    if (!this.hasArmed || !this.armedRefTime.equals(next)) {
      vmTime.now(armedTimeout);
      if (isBelow(now, next)) armedTimeout.add(this.#ahead.set(next).sub(now));
      this.armedRefTime.set(next);
      this.hasArmed = true;
    }
    vmTime.setTimeoutIfBefore(armedTimeout);
  }
}

/** Unsigned a < b. */
const isBelow = (a: ReadonlyU64, b: ReadonlyU64): boolean => (a.hi === b.hi ? a.lo >>> 0 < b.lo >>> 0 : a.hi >>> 0 < b.hi >>> 0);
