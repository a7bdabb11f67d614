/**
 * Every conversion between units of time, in one place. Three units meet here: reference time and VmTime (100 ns), virtual TSC ticks,
 * and OS time (ns). BigInt appears only where a ratio is made; a conversion works on `U64` cells.
 */
import { REFERENCE_HZ, U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** OS nanoseconds in a unit of VmTime or reference time. */
export const NS_PER_100NS = 100;
const TWO_32 = 4294967296;
const NS_PER_SECOND = 1_000_000_000;

/**
 * floor(numerator × 2^64 / denominator) as an integer and a 64-bit fraction. `apply` is then (t × ratio) >> 64 with a 128-bit intermediate,
 * of which the low 64 bits are kept. The truncated ratio is the reference's: 1 s at 2,100,000,123 Hz is 2,100,000,122 ticks.
 */
class FixedRatio {
  readonly #integer: U64;
  readonly #fraction: U64;
  readonly #isWhole: boolean;
  readonly #isBelowOne: boolean;
  readonly #product = new U64();

  constructor(numerator: number, denominator: number) {
    const ratio = (BigInt(numerator) << 64n) / BigInt(denominator);
    this.#integer = U64.of(BigInt.asUintN(64, ratio >> 64n));
    this.#fraction = U64.of(BigInt.asUintN(64, ratio));
    this.#isWhole = this.#fraction.isZero();
    this.#isBelowOne = this.#integer.isZero();
  }

  get fraction(): ReadonlyU64 {
    return this.#fraction;
  }

  get value(): bigint {
    return (this.#integer.toBigInt() << 64n) | this.#fraction.toBigInt();
  }

  /** `out` may be `t`. */
  apply(t: ReadonlyU64, out: U64): void {
    if (this.#isBelowOne) {
      out.set(t).mulHigh(this.#fraction);
      return;
    }
    const whole = this.#product.set(t).mul(this.#integer);
    if (this.#isWhole) out.set(whole);
    else out.set(t).mulHigh(this.#fraction).add(whole);
  }
}

function requireFrequency(tscHz: number): void {
  if (!Number.isSafeInteger(tscHz) || tscHz <= 0) throw new RangeError(`TSC frequency ${tscHz} Hz: expected a positive integer`);
}

/** Reference time → TSC ticks (openvmm, TDX TSC deadline service, PR 2483). Throws `RangeError` unless `tscHz` is a positive integer. */
export class TscScale {
  readonly #ratio: FixedRatio;

  constructor(tscHz: number) {
    requireFrequency(tscHz);
    this.#ratio = new FixedRatio(tscHz, REFERENCE_HZ);
  }

  /** floor(tscHz × 2^64 / 10^7), wider than 64 bits: for reports and tests. */
  get scale(): bigint {
    return this.#ratio.value;
  }

  /** TSC ticks of a duration in 100 ns, low 64 bits. `out` may be `refTime100ns`. */
  toTicks(refTime100ns: ReadonlyU64, out: U64): void {
    this.#ratio.apply(refTime100ns, out);
  }
}

/** TSC ticks → reference time (TLFS "Partition Reference TSC Mechanism"). Throws `RangeError` unless `tscHz` is a positive integer. */
export class ReferenceTimeScale {
  readonly #ratio: FixedRatio;

  constructor(tscHz: number) {
    requireFrequency(tscHz);
    this.#ratio = new FixedRatio(REFERENCE_HZ, tscHz);
  }

  /** The scale of the reference TSC page, floor(10^7 × 2^64 / tscHz), low 64 bits. */
  get pageScale(): ReadonlyU64 {
    return this.#ratio.fraction;
  }

  /** Reference time, 100 ns, of a virtual TSC value. `out` may be `tscTicks`. */
  toReferenceTime(tscTicks: ReadonlyU64, out: U64): void {
    this.#ratio.apply(tscTicks, out);
  }
}

/** floor(value / divisor) in place; `divisor` is an integer from 1 to 2^20, so that a remainder and 32 further bits stay exact. */
export function divideBySmall(value: U64, divisor: number): void {
  const high = value.hi >>> 0;
  const low = value.lo >>> 0;
  const highQuotient = Math.floor(high / divisor);
  const rest = (high - highQuotient * divisor) * TWO_32 + low;
  value.hi = highQuotient | 0;
  value.lo = Math.floor(rest / divisor) | 0;
}

const hundred = U64.of(NS_PER_100NS);

/** OS nanoseconds → 100 ns, truncating. `out` may be `ns`. */
export function osNsTo100ns(ns: ReadonlyU64, out: U64): void {
  out.set(ns);
  divideBySmall(out, NS_PER_100NS);
}

/** The most 100 ns of which the nanoseconds fit 64 bits. */
const longestInNs = U64.of((2n ** 64n - 1n) / BigInt(NS_PER_100NS));

/** 100 ns → OS nanoseconds; false, with the low 64 bits in `out`, when they do not fit. `out` may be `t`. */
export function vmTimeToOsNs(t: ReadonlyU64, out: U64): boolean {
  const fits = !longestInNs.isBelow(t);
  out.set(t).mul(hundred);
  return fits;
}

/** A duration of whole seconds and nanoseconds in 100 ns: truncated, low 64 bits. Not for hot paths' 64-bit seconds: `seconds` is a cell. */
export function durationTo100ns(seconds: ReadonlyU64, nanoseconds: number, out: U64): void {
  out.set(seconds).mul(secondIn100ns).add(durationRest.setNumber(Math.floor(nanoseconds / NS_PER_100NS)));
}
const secondIn100ns = U64.of(NS_PER_SECOND / NS_PER_100NS);
const durationRest = new U64();
