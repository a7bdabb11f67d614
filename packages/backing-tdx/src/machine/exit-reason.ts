/** Under which name a VMX exit counts (openvmm's counters of `tdx/mod.rs`). */
import { ExitReason, TdxStatus, VmxExit, VmxExitReason } from '@paravisor/hcl-protocol';
import type { ExitReasonName, ReadonlyU64 } from '@paravisor/hcl-protocol';

const names: Readonly<Record<number, ExitReasonName>> = {
  [VmxExit.Exception]: 'exception',
  [VmxExit.ExternalInterrupt]: 'hw_interrupt',
  [VmxExit.Smi]: 'smi_intr',
  [VmxExit.InterruptWindow]: 'interrupt_window',
  [VmxExit.NmiWindow]: 'nmi_window',
  [VmxExit.Cpuid]: 'cpuid',
  [VmxExit.Hlt]: 'hlt',
  [VmxExit.Vmcall]: 'vmcall',
  [VmxExit.CrAccess]: 'cr_access',
  [VmxExit.Io]: 'io',
  [VmxExit.MsrRead]: 'msr_read',
  [VmxExit.MsrWrite]: 'msr_write',
  [VmxExit.Pause]: 'pause',
  [VmxExit.TprBelowThreshold]: 'tpr_below_threshold',
  [VmxExit.GdtrIdtr]: 'descriptor_table',
  [VmxExit.LdtrTr]: 'descriptor_table',
  [VmxExit.EptViolation]: 'ept_violation',
  [VmxExit.TimerExpired]: 'timer_expired',
  [VmxExit.Wbinvd]: 'wbinvd',
  [VmxExit.Xsetbv]: 'xsetbv',
  [VmxExit.Tdcall]: 'tdcall',
};

const byBasicReason = Array.from({ length: VmxExit.Tdcall + 1 }, (_, basic) => ExitReason[names[basic] ?? 'other']);

/** Whether a lower VTL was really entered: the status of TDG.VP.ENTER is below PENDING_INTERRUPT. */
export const wasEntered = (rax: ReadonlyU64): boolean => rax.hi >>> 0 < TdxStatus.PendingInterrupt;

/** Whether the driver takes it for an expired deadline: it compares the whole low half, so that an expiry that carries a flag bit is missed (mshv_vtl PR 107). */
export const isExpiry = (rax: ReadonlyU64): boolean => rax.lo === VmxExit.TimerExpired;

/** Number of `ExitReason` for exit_info.rax. An entry that never happened has no reason of its own. */
export function exitReasonNumber(rax: ReadonlyU64): number {
  return wasEntered(rax) ? (byBasicReason[rax.lo & VmxExitReason.BasicMask] ?? ExitReason.other) : ExitReason.other;
}
