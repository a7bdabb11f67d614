import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VpClock } from './clock.js';

/** ips ≤ tscHz, from slow toys to beyond real machines, including the odd pair of the acceptance runs. */
const timeBase = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 10_000_000_000 }), fc.constantFrom(2_100_000_123, 2_000_000_000, 1_000_000_000_000)),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  .map(([tscHz, share]) => ({ tscHz, ips: Math.max(1, Math.floor(tscHz * share)) }));
const instructions = fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 2 ** 22 }));

describe('VpClock: floor(retired × tscHz / ips) + charged (architecture.md, Time)', () => {
  it('computes from the totals, however the instructions were cut up', () => {
    fc.assert(
      fc.property(timeBase, fc.array(fc.tuple(instructions, fc.integer({ min: 0, max: 10_000 })), { maxLength: 20 }), ({ tscHz, ips }, steps) => {
        const clock = new VpClock(tscHz, ips);
        let retired = 0n;
        let charged = 0n;
        for (const [n, ticks] of steps) {
          const before = clock.now;
          const foreseen = clock.after(n);
          expect(clock.now).toBe(before);
          clock.advance(n);
          expect(clock.now).toBe(foreseen);
          clock.charge(ticks);
          retired += BigInt(n);
          charged += BigInt(ticks);
        }
        fc.pre(clock.now < Number.MAX_SAFE_INTEGER);
        expect(BigInt(clock.now)).toBe((retired * BigInt(tscHz)) / BigInt(ips) + charged);
      }),
      { numRuns: 200 },
    );
  });

  it('names the first instruction boundary at or past a tick', () => {
    fc.assert(
      fc.property(timeBase, fc.nat(5000), fc.integer({ min: 0, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 20 }), ({ tscHz, ips }, n, distance, cap) => {
        const clock = new VpClock(tscHz, ips);
        clock.advance(n);
        const start = BigInt(n) * BigInt(tscHz);
        const target = (BigInt(clock.now) + BigInt(distance)) * BigInt(ips);
        // The smallest k ≥ 0 with floor((n + k) × tscHz / ips) ≥ target.
        const exact = distance === 0 ? 0n : (target - start + BigInt(tscHz) - 1n) / BigInt(tscHz);
        expect(clock.instructionsUntil(clock.now + distance, cap)).toBe(Number(exact < BigInt(cap) ? exact : BigInt(cap)));
      }),
      { numRuns: 300 },
    );
  });

  it('asks for no instruction when the tick has come, and for the cap when it never comes', () => {
    const clock = new VpClock(2_100_000_123, 7_000_003);
    clock.charge(1000);
    expect(clock.instructionsUntil(1000, 10)).toBe(0);
    expect(clock.instructionsUntil(1, 10)).toBe(0);
    expect(clock.instructionsUntil(Infinity, 2 ** 28)).toBe(2 ** 28);
  });

  it('skips forward only', () => {
    const clock = new VpClock(1000, 10);
    clock.skipTo(500);
    expect(clock.now).toBe(500);
    clock.skipTo(300);
    expect(clock.now).toBe(500);
    clock.advance(1);
    expect(clock.now).toBe(600);
  });

  it.each([
    [0, 1],
    [1.5, 1],
    [NaN, 1],
    [2e12, 1],
    [1000, 0],
    [1000, 1001],
    [1000, 0.5],
  ])('refuses the time base %d Hz, %d instructions a second', (tscHz, ips) => {
    expect(() => new VpClock(tscHz, ips)).toThrow(RangeError);
  });
});
