/** One VP's virtual time stamp counter. */
import { floorQuotient } from './exact-division.js';

/** The highest TSC frequency the arithmetic is exact for, Hz. */
export const MAX_TSC_HZ = 1e12;

/** Products are kept below this, so that a quotient that is one off can be put right. */
const EXACT = 2 ** 52;

/** Checks a time base. @throws {RangeError} unless both are integers with 1 ≤ ips ≤ tscHz ≤ `MAX_TSC_HZ`. */
export function checkTimeBase(tscHz: number, ips: number): void {
  if (!Number.isInteger(tscHz) || tscHz < 1 || tscHz > MAX_TSC_HZ) {
    throw new RangeError(`the TSC frequency must be an integer from 1 to ${MAX_TSC_HZ} Hz, not ${tscHz}`);
  }
  if (!Number.isInteger(ips) || ips < 1 || ips > tscHz) {
    throw new RangeError(`instructions a second must be an integer from 1 to the TSC frequency ${tscHz}, not ${ips}`);
  }
}

export type VpClockState = {
  readonly now: number;
  readonly retired: number;
  readonly remainder: number;
};

/**
 * now = floor(retired × tscHz / ips) + charged + skipped, exact from the totals: the remainder of the division is kept, so nothing drifts. With
 * ips ≤ tscHz an instruction lasts at least one tick.
 */
export class VpClock {
  readonly tscHz: number;
  readonly ips: number;
  /** Ticks now, an exact number below 2^53. */
  now = 0;
  /** Instructions advanced so far, for statistics. */
  retired = 0;
  /** retired × tscHz modulo ips. */
  #remainder = 0;
  /** What `after` found the remainder to be. */
  #remainderAfter = 0;
  /** tscHz = quotient × ips + rest: whole ticks an instruction, and the part that adds up in the remainder. */
  readonly #quotient: number;
  readonly #rest: number;
  /** Most instructions whose rest fits the exact product. */
  readonly #chunk: number;

  /** @throws {RangeError} see `checkTimeBase`. */
  constructor(tscHz: number, ips: number) {
    checkTimeBase(tscHz, ips);
    this.tscHz = tscHz;
    this.ips = ips;
    this.#rest = tscHz % ips;
    this.#quotient = (tscHz - this.#rest) / ips;
    this.#chunk = this.#rest === 0 ? Infinity : Math.floor((EXACT - ips) / this.#rest);
  }

  /** Lets `instructions` retire. */
  advance(instructions: number): void {
    this.now = this.after(instructions);
    this.#remainder = this.#remainderAfter;
    this.retired += instructions;
  }

  /** What `now` would be after `instructions` more; at most 2^30. The clock stays where it is. */
  after(instructions: number): number {
    let now = this.now + instructions * this.#quotient;
    let remainder = this.#remainder;
    for (let left = instructions; this.#rest !== 0 && left > 0; left -= this.#chunk) {
      const product = remainder + Math.min(left, this.#chunk) * this.#rest;
      const ticks = floorQuotient(product, this.ips);
      remainder = product - ticks * this.ips;
      now += ticks;
    }
    this.#remainderAfter = remainder;
    return now;
  }

  /** Adds a cost. */
  charge(ticks: number): void {
    this.now += ticks;
  }

  /** Lets idle time pass up to `tick`; does nothing when that is not ahead. */
  skipTo(tick: number): void {
    if (tick > this.now) this.now = tick;
  }

  save(): VpClockState {
    return { now: this.now, retired: this.retired, remainder: this.#remainder };
  }

  restore({ now, retired, remainder }: VpClockState): void {
    this.now = now;
    this.retired = retired;
    this.#remainder = remainder;
  }

  /**
   * The smallest n ≥ 0 such that the clock stands at or past `tick` after n more instructions; `cap` when it would be more. `tick` may be Infinity.
   * n = ceil((d × ips − remainder) / tscHz) for d = tick − now > 0.
   */
  instructionsUntil(tick: number, cap: number): number {
    const distance = tick - this.now;
    if (distance <= 0) return 0;
    // At least `quotient` ticks an instruction, and fewer than quotient + 2: an estimate that cannot be below the answer decides the cap.
    if (distance > (this.#quotient + 2) * cap) return cap;
    if (this.#rest === 0) return Math.min(cap, Math.ceil(distance / this.#quotient));
    // The ratio is off by a few units in the last place at most; one or two steps put it right.
    let n = Math.min(cap, Math.max(0, Math.ceil((distance * this.ips - this.#remainder) / this.tscHz)));
    while (n < cap && this.after(n) < tick) n++;
    while (n > 0 && this.after(n - 1) >= tick) n--;
    return n;
  }
}
