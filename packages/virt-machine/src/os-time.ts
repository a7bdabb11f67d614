/**
 * The VTL2 kernel's monotonic clock: ns = floor(ticks × 10^9 / tscHz) since the machine's start. Both directions are exact, in doubles: products of
 * more than 53 bits are divided digit by digit.
 */
const NS_A_SECOND = 1e9;
const DIGIT = 1e6;

export class OsTime {
  readonly #tscHz: number;
  readonly #hzHigh: number;
  readonly #hzLow: number;

  /** `tscHz` as checked by `checkTimeBase`. */
  constructor(tscHz: number) {
    this.#tscHz = tscHz;
    this.#hzLow = tscHz % DIGIT;
    this.#hzHigh = (tscHz - this.#hzLow) / DIGIT;
  }

  /** Nanoseconds at `ticks`. */
  nsOf(ticks: number): number {
    const hz = this.#tscHz;
    let remainder = ticks % hz;
    const seconds = (ticks - remainder) / hz;
    let ns = 0;
    // remainder × 10^9 / hz, three decimal digits a step: remainder × 10^3 stays below 10^15.
    for (let step = 0; step < 3; step++) {
      const product = remainder * 1000;
      remainder = product % hz;
      ns = ns * 1000 + (product - remainder) / hz;
    }
    return seconds * NS_A_SECOND + ns;
  }

  /** The first tick at which the clock shows `ns` or more: ceil(ns × tscHz / 10^9). Infinity when that is not an exact number any more. */
  ticksAt(ns: number): number {
    const rest = ns % NS_A_SECOND;
    const seconds = (ns - rest) / NS_A_SECOND;
    // rest × hz / 10^9 for hz = high × 10^6 + low, Horner's way: every product stays below 10^15.
    const first = rest * this.#hzHigh;
    const firstRemainder = first % NS_A_SECOND;
    const second = firstRemainder * DIGIT + rest * this.#hzLow;
    const secondRemainder = second % NS_A_SECOND;
    const whole = ((first - firstRemainder) / NS_A_SECOND) * DIGIT + (second - secondRemainder) / NS_A_SECOND;
    const ticks = seconds * this.#tscHz + whole + (secondRemainder === 0 ? 0 : 1);
    return ticks <= Number.MAX_SAFE_INTEGER ? ticks : Infinity;
  }
}
