import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReferenceTimeScale, TscScale, divideBySmall, durationTo100ns, osNsTo100ns, vmTimeToOsNs } from './conversions.js';

const TEN_MILLION = 10_000_000n;
const low64 = (value: bigint): bigint => BigInt.asUintN(64, value);
/** Any 64-bit value, with the edges where halves carry drawn often. */
const u64 = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n));
const frequency = fc.oneof(fc.integer({ min: 1, max: 10_000_000_000 }), fc.constantFrom(1, 9_999_999, 10_000_000, 2_100_000_123, 3_000_000_000));

function converted(t: bigint, convert: (from: U64, out: U64) => void): bigint {
  const cell = U64.of(t);
  convert(cell, cell);
  return u64ToBigInt(cell);
}

describe('unit conversions', () => {
  it('reference time to TSC is the low 64 bits of (t × floor(hz × 2^64 / 10^7)) >> 64 (openvmm PR 2483)', () => {
    fc.assert(
      fc.property(u64, frequency, (t, hz) => {
        const scale = new TscScale(hz);
        const truncated = (BigInt(hz) << 64n) / TEN_MILLION;
        expect(scale.scale).toBe(truncated);
        expect(converted(t, (from, out) => scale.toTicks(from, out))).toBe(low64((t * truncated) >> 64n));
      }),
    );
  });

  it('loses a tick to the truncated scale: 1 s at 2,100,000,123 Hz is 2,100,000,122 ticks', () => {
    const scale = new TscScale(2_100_000_123);
    expect(converted(TEN_MILLION, (from, out) => scale.toTicks(from, out))).toBe(2_100_000_122n);
  });

  it('TSC to reference time is (tsc × floor(10^7 × 2^64 / hz)) >> 64 (TLFS, reference TSC page)', () => {
    fc.assert(
      fc.property(u64, frequency, (tsc, hz) => {
        const scale = new ReferenceTimeScale(hz);
        const truncated = (TEN_MILLION << 64n) / BigInt(hz);
        expect(u64ToBigInt(scale.pageScale)).toBe(low64(truncated));
        expect(converted(tsc, (from, out) => scale.toReferenceTime(from, out))).toBe(low64((tsc * truncated) >> 64n));
      }),
    );
  });

  it('OS nanoseconds and 100 ns units truncate one way and are exact the other', () => {
    fc.assert(
      fc.property(u64, (value) => {
        expect(converted(value, osNsTo100ns)).toBe(value / 100n);
        expect(converted(value, vmTimeToOsNs)).toBe(low64(value * 100n));
      }),
    );
  });

  it('a duration is cut to 100 ns (openvmm vmtime)', () => {
    fc.assert(
      fc.property(u64, fc.integer({ min: 0, max: 999_999_999 }), (seconds, nanos) => {
        const out = new U64();
        durationTo100ns(U64.of(seconds), nanos, out);
        expect(u64ToBigInt(out)).toBe(low64((seconds * 1_000_000_000n + BigInt(nanos)) / 100n));
      }),
    );
  });

  it('division by a small number is exact over all 64 bits', () => {
    fc.assert(
      fc.property(u64, fc.integer({ min: 1, max: 2 ** 20 }), (value, divisor) => {
        const cell = U64.of(value);
        divideBySmall(cell, divisor);
        expect(u64ToBigInt(cell)).toBe(value / BigInt(divisor));
      }),
    );
  });

  it.each([0, -1, 2.5, Number.NaN, 2 ** 60])('a TSC frequency of %d Hz is refused', (hz) => {
    expect(() => new TscScale(hz)).toThrow(RangeError);
    expect(() => new ReferenceTimeScale(hz)).toThrow(RangeError);
  });
});
