/**
 * VmTime: a partition's own time line in units of 100 ns, carried by the OS monotonic clock (openvmm `vmcore::vmtime`). Comparison is relative in
 * the 64-bit space, so it survives wrap-around and is not transitive.
 */
import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { osNsTo100ns, vmTimeToOsNs } from './conversions.js';

/** Whether VmTime `a` is before `b`: signed 64-bit (a − b) < 0. */
export function vmTimeIsBefore(a: ReadonlyU64, b: ReadonlyU64): boolean {
  const borrow = a.lo >>> 0 < b.lo >>> 0 ? 1 : 0;
  return ((a.hi - b.hi - borrow) | 0) < 0;
}

/** Whether VmTime `a` is after `b`: signed 64-bit (a − b) > 0. */
export function vmTimeIsAfter(a: ReadonlyU64, b: ReadonlyU64): boolean {
  return !vmTimeIsBefore(a, b) && (a.lo !== b.lo || a.hi !== b.hi);
}

/** Time from `b` to `a` in 100 ns; false, and `out` untouched, when `a` is before `b`. `out` may be `a`. */
export function vmTimeCheckedSub(a: ReadonlyU64, b: ReadonlyU64, out: U64): boolean {
  if (vmTimeIsBefore(a, b)) return false;
  out.set(a).sub(b);
  return true;
}

/** The earlier of two times; `b` when they are equal or half the time line apart. */
export function vmTimeMin(a: ReadonlyU64, b: ReadonlyU64): ReadonlyU64 {
  return vmTimeIsBefore(a, b) ? a : b;
}

/** The later of two times; `a` when they are equal or half the time line apart. */
export function vmTimeMax(a: ReadonlyU64, b: ReadonlyU64): ReadonlyU64 {
  return vmTimeIsBefore(a, b) ? b : a;
}

/** Where VmTime reads the OS monotonic clock, ns. A VP's file descriptor (`HclVp`) is one. */
export interface OsClock {
  osTimeNs(out: U64): void;
}

/** VmTime is an offset to the OS clock, and a timeout. Where the OS clock stands is not part of it: `VmTimeAccess.resume` moves on to another one. */
export type VmTimeState = {
  readonly vmTimeAtStart: string;
  readonly osNsAtStart: string;
  readonly timeout: string | null;
  readonly waiting: boolean;
};

const zero: ReadonlyU64 = new U64();

/** One VP's view of VmTime, with its single waiter. Only the VP's own thread calls it. */
export class VmTimeAccess {
  readonly #clock: OsClock;
  readonly #vmTimeAtStart = new U64();
  readonly #osNsAtStart = new U64();
  readonly #timeout = new U64();
  readonly #os = new U64();
  readonly #now = new U64();
  #hasTimeout = false;
  #waiting = false;

  /** VmTime reads `vmTimeAtStart` (100 ns) when the OS clock reads `osNsAtStart` (ns). Partition-wide: give every VP the same pair. */
  constructor(clock: OsClock, vmTimeAtStart: ReadonlyU64 = zero, osNsAtStart: ReadonlyU64 = zero) {
    this.#clock = clock;
    this.resume(vmTimeAtStart, osNsAtStart);
  }

  /** VmTime goes on from `vmTime` at OS time `osNs`, after the partition stood still or was restored. A timeout stays. */
  resume(vmTime: ReadonlyU64, osNs: ReadonlyU64): void {
    this.#vmTimeAtStart.set(vmTime);
    this.#osNsAtStart.set(osNs);
  }

  /** VmTime now. An OS time before the start counts as the start: it was read before it, and lost a race. */
  now(out: U64): void {
    this.#clock.osTimeNs(this.#os);
    if (this.#os.isBelow(this.#osNsAtStart)) {
      out.set(this.#vmTimeAtStart);
      return;
    }
    osNsTo100ns(this.#os.sub(this.#osNsAtStart), out);
    out.add(this.#vmTimeAtStart);
  }

  /** Whether a timeout is set. */
  get hasTimeout(): boolean {
    return this.#hasTimeout;
  }

  /** The timeout, VmTime; meaningful while `hasTimeout`. */
  get timeout(): ReadonlyU64 {
    return this.#timeout;
  }

  /** Whether the last poll was pending. Cancelling does not end the wait. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Replaces the timeout, also by a later one. */
  setTimeout(time: ReadonlyU64): void {
    this.#timeout.set(time);
    this.#hasTimeout = true;
  }

  /** Sets the timeout unless one is set that is not later. */
  setTimeoutIfBefore(time: ReadonlyU64): void {
    if (!this.#hasTimeout || vmTimeIsBefore(time, this.#timeout)) this.setTimeout(time);
  }

  cancelTimeout(): void {
    this.#hasTimeout = false;
  }

  /** True, with VmTime now in `out` and the timeout forgotten, when the timeout lies strictly before now. Else false: pending. */
  poll(out: U64): boolean {
    this.now(this.#now);
    if (this.#hasTimeout && this.#timeout.isBefore(this.#now)) {
      out.set(this.#now);
      this.#hasTimeout = false;
      this.#waiting = false;
      return true;
    }
    this.#waiting = true;
    return false;
  }

  /**
   * The OS time, ns, at which VmTime reads `time`; the start's OS time for a time before it, all ones for one beyond the OS clock's range. For the host
   * timer.
   */
  hostTimeNs(time: ReadonlyU64, out: U64): void {
    if (!vmTimeCheckedSub(time, this.#vmTimeAtStart, out)) {
      out.set(this.#osNsAtStart);
      return;
    }
    if (vmTimeToOsNs(out, out)) {
      out.add(this.#osNsAtStart);
      if (!out.isBelow(this.#osNsAtStart)) return;
    }
    out.setParts(-1, -1);
  }

  save(): VmTimeState {
    return {
      vmTimeAtStart: saveU64(this.#vmTimeAtStart),
      osNsAtStart: saveU64(this.#osNsAtStart),
      timeout: this.#hasTimeout ? saveU64(this.#timeout) : null,
      waiting: this.#waiting,
    };
  }

  restore(state: VmTimeState): void {
    restoreU64(this.#vmTimeAtStart, state.vmTimeAtStart);
    restoreU64(this.#osNsAtStart, state.osNsAtStart);
    this.#hasTimeout = state.timeout !== null;
    if (state.timeout !== null) restoreU64(this.#timeout, state.timeout);
    this.#waiting = state.waiting;
  }
}
