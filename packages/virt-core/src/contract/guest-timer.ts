import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { BackingVp } from './backing-vp.js';

/**
 * How a lower VTL's synthetic timers get their deadline (openvmm `HardwareIsolatedGuestTimer`, PR 2483 and PR 4224). A backing owns one
 * for the partition. All times are reference time, 100 ns. There are no default methods: an empty one is a statement.
 */
export interface HardwareIsolatedGuestTimer<Vp extends BackingVp = BackingVp> {
  /** True when the deadline is virtualized by hardware, so that neither arming nor expiry needs a hypervisor exit. Constant. */
  isHardwareVirtualized(): boolean;
  /**
   * Called by the VP loop for each SynIC scan that yields a next due time; several times a round, VTL1's before VTL0's. Keeps the earliest of the
   * round. `next` may lie in the past. The cells are the caller's: copy what is kept.
   */
  updateDeadline(vp: Vp, now: ReadonlyU64, next: ReadonlyU64): void;
  /** Called by the VP loop once a round, before the scans. Nothing wanted until the next `updateDeadline`. */
  clearDeadline(vp: Vp): void;
  /** Called just before a lower VTL runs, before private registers are written. */
  beginLowerVtlRun(vp: Vp, vtl: number): void;
  /** Called after the run ioctl returned, also after EINTR, and after private registers were read. */
  endLowerVtlRun(vp: Vp, vtl: number): void;
}
