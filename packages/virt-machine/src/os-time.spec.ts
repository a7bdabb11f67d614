import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OsTime } from './os-time.js';

const tscHz = fc.oneof(fc.integer({ min: 1_000_000, max: 10_000_000_000 }), fc.constantFrom(2_100_000_123, 2_000_000_000, 999_999_999_989));
const GIGA = 1_000_000_000n;

describe("the VTL2 kernel's monotonic clock", () => {
  it('is floor(ticks × 10^9 / tscHz)', () => {
    fc.assert(
      fc.property(tscHz, fc.integer({ min: 0, max: 2 ** 43 }), (hz, ticks) => {
        const ns = (BigInt(ticks) * GIGA) / BigInt(hz);
        fc.pre(ns < BigInt(Number.MAX_SAFE_INTEGER));
        expect(BigInt(new OsTime(hz).nsOf(ticks))).toBe(ns);
      }),
    );
  });

  it('shows a time first at the tick that ticksAt names', () => {
    fc.assert(
      fc.property(tscHz, fc.integer({ min: 1, max: 2 ** 43 }), (hz, ns) => {
        const osTime = new OsTime(hz);
        const tick = osTime.ticksAt(ns);
        fc.pre(tick !== Infinity);
        expect(BigInt(tick)).toBe((BigInt(ns) * BigInt(hz) + GIGA - 1n) / GIGA);
        expect(osTime.nsOf(tick)).toBeGreaterThanOrEqual(ns);
        expect(osTime.nsOf(tick - 1)).toBeLessThan(ns);
      }),
    );
  });

  it('has no tick for times that are no exact number of ticks any more', () => {
    expect(new OsTime(2_000_000_000).ticksAt(Number.MAX_SAFE_INTEGER)).toBe(Infinity);
    expect(new OsTime(2_000_000_000).ticksAt(2 ** 64)).toBe(Infinity);
  });
});
