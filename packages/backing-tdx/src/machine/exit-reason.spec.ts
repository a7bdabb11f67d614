import { ExitReason, TdxStatus, U64, VmxExit, VmxExitReason } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { exitReasonNumber, isExpiry, wasEntered } from './exit-reason.js';

const rax = (lo: number, hi = 0): U64 => new U64().setParts(lo, hi | 0);

describe('what the driver reads in exit_info.rax (mshv_vtl PR 107)', () => {
  it('an expired deadline is the whole low half: with a bus lock in bit 26 the driver misses it, while user mode, which looks at 16 bits, counts it', () => {
    expect([isExpiry(rax(VmxExit.TimerExpired)), isExpiry(rax(VmxExit.TimerExpired | VmxExitReason.BusLock))]).toEqual([true, false]);
    expect(exitReasonNumber(rax(VmxExit.TimerExpired | VmxExitReason.BusLock))).toBe(ExitReason.timer_expired);
  });

  it('a lower VTL was entered exactly when the status is below PENDING_INTERRUPT, unsigned', () => {
    const statuses = [TdxStatus.Success, TdxStatus.L2ExitPendingInterrupt, TdxStatus.PendingInterrupt - 1, TdxStatus.PendingInterrupt, TdxStatus.OperandInvalid];
    expect(statuses.map((status) => wasEntered(rax(VmxExit.Hlt, status)))).toEqual([true, true, true, false, false]);
  });
});
