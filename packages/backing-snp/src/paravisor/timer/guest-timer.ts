import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { VmTimeGuestTimer } from '@paravisor/virt-core';
import type { BackingVp, HardwareIsolatedGuestTimer, VmTimeHolder } from '@paravisor/virt-core';
import type { RearmScan } from './rearm-scan.js';

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

/** The partition's guest timer. `rearm` false is the timer before PR 3935: a new timeout each round. */
export function createSnpGuestTimer(rearm: boolean): HardwareIsolatedGuestTimer<BackingVp & RearmScanHolder> {
  return rearm ? new RearmingGuestTimer() : new VmTimeGuestTimer();
}
