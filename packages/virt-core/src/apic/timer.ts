/**
 * The local APIC's timer counter (SDM volume 3, 11.5.4), as openvmm emulates it: counts derive from VmTime when somebody looks. The quirks are the
 * reference's: the evaluation time is cut to 100 ns, so a guest that reads the current count often makes its timer run fast; and only a count or
 * divider write, or a scan after the due time, computes a new due time.
 */
import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { NS_PER_100NS, divideBySmall } from '../time/conversions.js';
import { vmTimeCheckedSub } from '../time/vmtime.js';

/** APIC timer clock before the divider, Hz: 200 MHz, which MSR 0x40000023 reports. */
export const APIC_TIMER_HZ = 200_000_000;
const NS_PER_TICK = 1_000_000_000 / APIC_TIMER_HZ;
const TICKS_PER_100NS = NS_PER_100NS / NS_PER_TICK;
/** Divide configuration bits that exist: 1:0 and 3. */
const DCR_MASK = 0xb;

/** log2 of the divider: 0b000 divides by 2 .. 0b110 by 128, 0b111 by 1. */
export function dividerShift(dcr: number): number {
  return (((dcr & 3) | ((dcr & 8) >>> 1)) + 1) & 7;
}

function shiftRight(value: U64, shift: number): void {
  if (shift === 0) return;
  value.lo = (value.lo >>> shift) | (value.hi << (32 - shift));
  value.hi = (value.hi >>> shift) | 0;
}

function shiftLeft(value: U64, shift: number): void {
  if (shift === 0) return;
  value.hi = (value.hi << shift) | (value.lo >>> (32 - shift));
  value.lo <<= shift;
}

/** value mod divisor for a divisor of 1 .. 2^32 − 1, in steps of 16 bits, so that each dividend is exact. */
function remainder(value: U64, divisor: number): number {
  // A period that was not missed: V8 makes a call of every modulo of doubles.
  if (value.hi === 0 && value.lo >>> 0 < divisor) return value.lo >>> 0;
  const high = (value.hi >>> 0) % divisor;
  const middle = (high * 65536 + (value.lo >>> 16)) % divisor;
  return (middle * 65536 + (value.lo & 0xffff)) % divisor;
}

const hundred = U64.of(NS_PER_100NS);

export type ApicTimerState = {
  readonly initialCount: number;
  readonly currentCount: number;
  readonly divide: number;
  readonly lastTime: string;
  readonly nextTime: string | null;
};

/** State and arithmetic of the timer; what an expiry does is the APIC's business. */
export class ApicTimer {
  /** Initial count, as written. */
  initialCount = 0;
  /** Current count as of `lastTime`; 0 stands for not running. */
  currentCount = 0;
  divide = 0;
  /** VmTime of the last evaluation. */
  readonly lastTime = new U64();
  /** Whether the timer asks for a look at `nextTime`. */
  hasNext = false;
  /** The due time as last computed, VmTime; meaningful while `hasNext`. */
  readonly nextTime = new U64();
  /** After `evaluate` returned true: when the count first reached zero, VmTime. */
  readonly expiredAt = new U64();
  readonly #counts = new U64();
  readonly #elapsed = new U64();
  readonly #count = new U64();

  /** Starts over with a count written at `now`; 0 stops. */
  start(count: number, now: ReadonlyU64): void {
    this.initialCount = count >>> 0;
    this.currentCount = count >>> 0;
    this.lastTime.set(now);
    this.updateNext(now);
  }

  /** Stores the divider; the caller has evaluated up to `now` with the old one. */
  setDivide(dcr: number, now: ReadonlyU64): void {
    this.divide = dcr & DCR_MASK;
    this.updateNext(now);
  }

  /**
   * Brings the count up to `now` and says whether it reached zero since the last evaluation. Missed periods collapse into one, with the phase kept.
   * Throws when `now` is before the last evaluation: VmTime does not go backwards.
   */
  evaluate(now: ReadonlyU64, periodic: boolean): boolean {
    if (this.currentCount === 0) return false;
    const counts = this.#counts;
    if (!vmTimeCheckedSub(now, this.lastTime, counts)) throw new Error('VmTime went backwards under the APIC timer');
    const shift = dividerShift(this.divide);
    // The reference keeps the low 64 bits of the nanoseconds.
    counts.mul(hundred);
    divideBySmall(counts, NS_PER_TICK);
    shiftRight(counts, shift);

    const expired = counts.hi !== 0 || counts.lo >>> 0 >= this.currentCount;
    if (expired) {
      this.#dueAfter(this.lastTime, this.expiredAt);
      if (!periodic) {
        this.currentCount = 0;
        return true;
      }
    }
    const elapsed = this.#elapsed.set(counts);
    if (expired) {
      counts.sub(this.#count.setNumber(this.currentCount));
      this.currentCount = this.initialCount - remainder(counts, this.initialCount);
    } else {
      this.currentCount -= counts.lo >>> 0;
    }
    shiftLeft(elapsed, shift);
    divideBySmall(elapsed, TICKS_PER_100NS);
    this.lastTime.add(elapsed);
    return expired;
  }

  /** Computes the due time from the current count, counted from `now`. */
  updateNext(now: ReadonlyU64): void {
    this.hasNext = this.currentCount !== 0;
    if (this.hasNext) this.#dueAfter(now, this.nextTime);
  }

  /** Registers to their reset values; the evaluation time stays. */
  reset(): void {
    this.initialCount = 0;
    this.currentCount = 0;
    this.divide = 0;
    this.hasNext = false;
  }

  save(): ApicTimerState {
    const { initialCount, currentCount, divide } = this;
    return { initialCount, currentCount, divide, lastTime: saveU64(this.lastTime), nextTime: this.hasNext ? saveU64(this.nextTime) : null };
  }

  restore(state: ApicTimerState): void {
    this.initialCount = state.initialCount;
    this.currentCount = state.currentCount;
    this.divide = state.divide;
    restoreU64(this.lastTime, state.lastTime);
    this.hasNext = state.nextTime !== null;
    if (state.nextTime !== null) restoreU64(this.nextTime, state.nextTime);
  }

  /** `out` = start + the current count's time, at most 2^39 ticks, cut to 100 ns. */
  #dueAfter(start: ReadonlyU64, out: U64): void {
    const ticks = this.currentCount * (1 << dividerShift(this.divide));
    out.setNumber(Math.floor(ticks / TICKS_PER_100NS)).add(start);
  }
}
