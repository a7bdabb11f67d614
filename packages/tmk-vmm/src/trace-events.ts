/** A partition's events as plain objects: what a trace line holds. Times of a line are the VP's: `ticks` of its virtual TSC, and the same in ns. */
import { exitDestinationNames, exitReasonNames, u64ToBigInt } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { PartitionObserver } from '@paravisor/partition';
import { timerSourceNames } from '@paravisor/virt-core';

const NS_PER_S = 1_000_000_000n;
/** The clock event device is VTL2's, and so are the deadlines that it writes for lower VTLs. */
const PARAVISOR_VTL = 2;

/** An observer that makes an object of every event. 64-bit values that need not fit a number are decimal strings. */
export function eventObserver(tscHz: number, take: (event: object) => void): PartitionObserver {
  const nsOf = (ticks: number): number => Number((BigInt(ticks) * NS_PER_S) / BigInt(tscHz));
  const at = (vp: number, vtl: number, ticks: number) => ({ vp, vtl, ticks, ns: nsOf(ticks) });
  const timer = (event: string, vp: number, vtl: number, source: number, due: ReadonlyU64, ticks: number) => ({
    event,
    ...at(vp, vtl, ticks),
    timer: timerSourceNames[source],
    due100ns: String(u64ToBigInt(due)),
  });
  return {
    exit: (vp, vtl, destination, reason, ticks) =>
      take({ event: 'exit', ...at(vp, vtl, ticks), destination: exitDestinationNames[destination], reason: exitReasonNames[reason] }),
    deadlineWritten: (vp, vtl, deadline, ticks) => take({ event: 'deadline_written', ...at(vp, vtl, ticks), deadline: String(u64ToBigInt(deadline)) }),
    hostTimerArmed: (vp, expiryTicks, ticks) => take({ event: 'host_timer_armed', ...at(vp, PARAVISOR_VTL, ticks), expiryTicks }),
    hostTimerExpired: (vp, ticks) => take({ event: 'host_timer_expired', ...at(vp, PARAVISOR_VTL, ticks) }),
    timerArmed: (vp, vtl, source, due, ticks) => take(timer('timer_armed', vp, vtl, source, due, ticks)),
    timerDelivered: (vp, vtl, source, due, now, ticks) =>
      take({ ...timer('timer_delivered', vp, vtl, source, due, ticks), delivered100ns: String(u64ToBigInt(now)) }),
  };
}
