import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { TimerObserver } from '@paravisor/virt-core';
import type { MachineObserver } from '@paravisor/virt-machine';

/** Watches a partition: what the machine counts, and what the guest's timers do. `ticks` is the VP's clock, due and reference times are 100 ns. */
export interface PartitionObserver extends MachineObserver {
  timerArmed(vp: number, vtl: number, source: number, due: ReadonlyU64, ticks: number): void;
  timerDelivered(vp: number, vtl: number, source: number, due: ReadonlyU64, now: ReadonlyU64, ticks: number): void;
}

/** What a partition tells about its guest timers: to its statistics, and to the observer with the machine's time put to it. */
export function timerObserverOf(statistics: TimerObserver, observer: PartitionObserver | undefined, ticksOf: (vp: number) => number): TimerObserver {
  if (observer === undefined) return statistics;
  return {
    armed(vp, vtl, source, due) {
      statistics.armed(vp, vtl, source, due);
      observer.timerArmed(vp, vtl, source, due, ticksOf(vp));
    },
    delivered(vp, vtl, source, due, now) {
      statistics.delivered(vp, vtl, source, due, now);
      observer.timerDelivered(vp, vtl, source, due, now, ticksOf(vp));
    },
  };
}
