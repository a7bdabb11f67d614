import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { VmTimeGuestTimer } from '@paravisor/virt-core';
import type { BackingVp, HardwareIsolatedGuestTimer, VmTimeHolder } from '@paravisor/virt-core';
import type { RearmScan } from './rearm-scan.js';
import { Stimer0HandoffTimer } from './stimer0-handoff.js';
import type { Stimer0HandoffHolder } from './stimer0-handoff.js';

/** What the re-arming timer needs of a VP. */
export interface RearmScanHolder extends VmTimeHolder {
  readonly rearmScan: RearmScan;
}

/** SNP's guest timer: a VmTime timeout, armed anew only when the deadline has changed (openvmm PR 3935). */
export class RearmingGuestTimer implements HardwareIsolatedGuestTimer<BackingVp & RearmScanHolder> {
  isHardwareVirtualized(): boolean {
    return false;
  }

  updateDeadline(vp: RearmScanHolder, now: ReadonlyU64, next: ReadonlyU64): void {
    vp.rearmScan.deadline(vp.vmTime, now, next);
  }

  clearDeadline(vp: RearmScanHolder): void {
    vp.rearmScan.begin(vp.vmTime);
  }

  /** Nothing travels with an entry: the host's timer is armed by the loop. */
  beginLowerVtlRun(): void {}

  /** Nothing comes back with an exit. */
  endLowerVtlRun(): void {}
}

/** Which of openvmm's changes the guest timer has. */
export interface SnpGuestTimerOptions {
  /** PR 3935; false is the timer before it: a new timeout each round. */
  readonly rearm: boolean;
  /** PR 4224; false is the timer before it: the driver takes nothing. */
  readonly kernelStimer0: boolean;
}

/** What a VP brings for the guest timer. */
export type SnpTimerVp = BackingVp & RearmScanHolder & Stimer0HandoffHolder;

/** The partition's guest timer. */
export function createSnpGuestTimer({ rearm, kernelStimer0 }: SnpGuestTimerOptions): HardwareIsolatedGuestTimer<SnpTimerVp> {
  const deadlines = rearm ? new RearmingGuestTimer() : new VmTimeGuestTimer();
  return kernelStimer0 ? new Stimer0HandoffTimer<SnpTimerVp>(deadlines) : deadlines;
}
