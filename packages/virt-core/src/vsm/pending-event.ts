/** PendingEvent0: exceptions that VTL1 gives VTL0 (TLFS 15.14; openvmm `set_vtl0_pending_event`, `cvm_deliver_exit_pending_event`). */
import { PendingEvent } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

const DOUBLE_FAULT = 8;
const PAGE_FAULT = 14;
/** #DE #DB #BP #OF #BR #UD #NM #DF #TS #NP #SS #GP #PF #MF #AC #MC #XM #CP: what both makers' processors have. */
const EXCEPTIONS: ReadonlySet<number> = new Set([0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 21]);
const WITH_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
const CONTRIBUTORY: ReadonlySet<number> = new Set([0, 10, 11, 12, 13, 21]);

const vectorOf = (event: ReadonlyU64): number => event.lo >>> PendingEvent.VectorShift;

/** Whether a value that says "pending" is an exception that can be given. */
export function isDeliverableEvent(event: ReadonlyU64): boolean {
  const type = (event.lo & PendingEvent.TypeMask) >>> PendingEvent.TypeShift;
  const vector = vectorOf(event);
  if (type !== PendingEvent.TypeException || !EXCEPTIONS.has(vector)) return false;
  return (event.lo & PendingEvent.DeliverErrorCode) === 0 || WITH_ERROR_CODE.has(vector);
}

/** What is injected for `event` when the VTL's next entry would inject `current` (−1: nothing): two faults that do not go together are a double fault. */
export function exitEvent(event: ReadonlyU64, current: number): { vector: number; errorCode: number } {
  const vector = vectorOf(event);
  const doubleFault =
    current === PAGE_FAULT ? vector === PAGE_FAULT || CONTRIBUTORY.has(vector) : CONTRIBUTORY.has(current) && CONTRIBUTORY.has(vector);
  if (doubleFault) return { vector: DOUBLE_FAULT, errorCode: 0 };
  return { vector, errorCode: (event.lo & PendingEvent.DeliverErrorCode) === 0 ? -1 : event.hi >>> 0 };
}
