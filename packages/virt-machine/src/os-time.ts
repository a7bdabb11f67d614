/**
 * The VTL2 kernel's monotonic clock: ns = floor(ticks × 10^9 / tscHz) since the machine's start. Both directions are exact, in doubles: products of
 * more than 53 bits are divided digit by digit.
 */
import { floorQuotient } from './exact-division.js';

const NS_A_SECOND = 1e9;
const DIGIT = 1e6;

export class OsTime {
  readonly #tscHz: number;
  readonly #hzHigh: number;
  readonly #hzLow: number;
  /** Whole ticks a nanosecond, as with 2 GHz; 0 when they are not whole. */
  readonly #ticksANs: number;

  /** `tscHz` as checked by `checkTimeBase`. */
  constructor(tscHz: number) {
    this.#tscHz = tscHz;
    this.#hzLow = tscHz % DIGIT;
    this.#ticksANs = tscHz % NS_A_SECOND === 0 ? tscHz / NS_A_SECOND : 0;
    this.#hzHigh = (tscHz - this.#hzLow) / DIGIT;
  }

  /** Nanoseconds at `ticks`. */
  nsOf(ticks: number): number {
    if (this.#ticksANs !== 0) return floorQuotient(ticks, this.#ticksANs);
    const hz = this.#tscHz;
    const seconds = floorQuotient(ticks, hz);
    let remainder = ticks - seconds * hz;
    let ns = 0;
    // remainder × 10^9 / hz, three decimal digits a step: remainder × 10^3 stays below 10^15.
    for (let step = 0; step < 3; step++) {
      const product = remainder * 1000;
      const digits = floorQuotient(product, hz);
      remainder = product - digits * hz;
      ns = ns * 1000 + digits;
    }
    return seconds * NS_A_SECOND + ns;
  }

  /** The first tick at which the clock shows `ns` or more: ceil(ns × tscHz / 10^9). Infinity when that is not an exact number any more. */
  ticksAt(ns: number): number {
    if (this.#ticksANs !== 0) return exact(ns * this.#ticksANs);
    // A time beyond 2^53 can name a tick still, where ticks are long.
    const rest = ns <= Number.MAX_SAFE_INTEGER ? ns - floorQuotient(ns, NS_A_SECOND) * NS_A_SECOND : ns % NS_A_SECOND;
    const seconds = (ns - rest) / NS_A_SECOND;
    // rest × hz / 10^9 for hz = high × 10^6 + low, Horner's way: every product stays below 10^15.
    const first = rest * this.#hzHigh;
    const firstQuotient = floorQuotient(first, NS_A_SECOND);
    const firstRemainder = first - firstQuotient * NS_A_SECOND;
    const second = firstRemainder * DIGIT + rest * this.#hzLow;
    const secondQuotient = floorQuotient(second, NS_A_SECOND);
    const whole = firstQuotient * DIGIT + secondQuotient;
    return exact(seconds * this.#tscHz + whole + (secondQuotient * NS_A_SECOND === second ? 0 : 1));
  }
}

const exact = (ticks: number): number => (ticks <= Number.MAX_SAFE_INTEGER ? ticks : Infinity);
