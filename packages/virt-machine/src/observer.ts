import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** Watches the machine. Ticks are the VP's clock. The default does nothing. */
export interface MachineObserver {
  /** An exit was counted: `destination` and `reason` as in the ledger. */
  exit(vp: number, vtl: number, destination: number, reason: number, ticks: number): void;
  /** A TSC deadline was written for a lower VTL (TDVPS.TSC_DEADLINE or its like). */
  deadlineWritten(vp: number, vtl: number, deadline: ReadonlyU64, ticks: number): void;
  /** VTL2's clock event device was programmed for `expiryTicks`. */
  hostTimerArmed(vp: number, expiryTicks: number, ticks: number): void;
  hostTimerExpired(vp: number, ticks: number): void;
}

export const silentMachineObserver: MachineObserver = { exit() {}, deadlineWritten() {}, hostTimerArmed() {}, hostTimerExpired() {} };
