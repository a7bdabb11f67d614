import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { U64 } from './u64.js';

const MASK = (1n << 64n) - 1n;
const edge = fc.constantFrom(0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, 0x8000000000000000n, MASK - 1n, MASK);
/** Times of a run, mostly: products of these have a way of their own. */
const short = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 53n) - 1n }), fc.constantFrom((1n << 52n) - 1n, 1n << 52n));
const u64 = fc.oneof(edge, short, fc.bigInt({ min: 0n, max: MASK }));

describe('U64', () => {
  it('computes modulo 2^64 as BigInt does', () => {
    fc.assert(
      fc.property(u64, u64, (a, b) => {
        const other = U64.of(b);
        expect(U64.of(a).add(other).toBigInt()).toBe((a + b) & MASK);
        expect(U64.of(a).sub(other).toBigInt()).toBe((a - b) & MASK);
        expect(U64.of(a).mul(other).toBigInt()).toBe((a * b) & MASK);
        expect(U64.of(a).mulHigh(other).toBigInt()).toBe((a * b) >> 64n);
        expect(U64.of(a).equals(other)).toBe(a === b);
        expect(U64.of(a).isBelow(other)).toBe(a < b);
        expect(U64.of(a).isBefore(other)).toBe(BigInt.asIntN(64, a - b) < 0n);
      }),
      { numRuns: 5000 },
    );
  });

  it('multiplies by a truncated ratio exactly where the product is next to a whole number (TLFS, reference TSC page)', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 46n }), fc.bigInt({ min: 2n, max: 10_000n }), fc.constantFrom(-1n, 0n, 1n), (whole, divisor, beside) => {
        const ratio = U64.of((1n << 64n) / divisor);
        const t = whole * divisor + beside;
        if (t >= 0n) expect(U64.of(t).mulHigh(ratio).toBigInt()).toBe((t * ratio.toBigInt()) >> 64n);
      }),
      { numRuns: 5000 },
    );
  });

  it('keeps its halves as int32, so that no value needs a heap number', () => {
    const cell = U64.of(MASK).add(U64.of(MASK));
    expect([cell.lo | 0, cell.hi | 0]).toEqual([cell.lo, cell.hi]);
  });

  it('converts exact numbers, negative ones wrapping', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (n) => U64.of(n).toBigInt() === (BigInt(n) & MASK)));
    expect(U64.of(2 ** 53).toNumber()).toBe(2 ** 53);
  });

  it('is not transitive in isBefore: three points a third of the circle apart precede each other in a ring', () => {
    const [a, b, c] = [U64.of(0), U64.of(0x5555555555555555n), U64.of(0xaaaaaaaaaaaaaaaan)];
    expect([a.isBefore(b), b.isBefore(c), c.isBefore(a)]).toEqual([true, true, true]);
  });
});
