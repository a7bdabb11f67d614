import { TdxStatus, U64 } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { L2TscDeadline, PREEMPTION_TIMER_RATE, TIMER_OFF } from './l2-tsc-deadline.js';
import { TscConversion, unscaledTsc } from './tsc-conversion.js';

const ALL_ONES = 2n ** 64n - 1n;
const cell = (value: bigint) => U64.of(value);
const unscaled = new TscConversion(unscaledTsc);
/** The virtual TSC runs at half the native rate, from an offset. */
const halved = new TscConversion({ multiplier: U64.of(1n << 47n), offset: U64.of(1000) });

describe('TDVPS.TSC_DEADLINE (TD partitioning, L2 VM TSC deadline)', () => {
  it('starts at all ones, which means no deadline: the preemption timer is off', () => {
    const deadline = new L2TscDeadline(unscaled);
    expect(U64.of(0).set(deadline.value).toBigInt()).toBe(ALL_ONES);
    expect(deadline.preemptionTimer(cell(123n))).toBe(TIMER_OFF);
  });

  it.each([0n, 1n, 4999n, 5000n])('%s, at or before the virtual TSC 5000, means an exit at once after the entry', (value) => {
    const deadline = new L2TscDeadline(unscaled);
    expect(deadline.write(cell(value), cell(5000n), cell(5000n))).toBe(TdxStatus.Success);
    expect(U64.of(0).set(deadline.shadow).toBigInt()).toBe(5000n);
    expect(deadline.preemptionTimer(cell(5000n))).toBe(0);
    expect(deadline.preemptionTimer(cell(9000n))).toBe(0);
  });

  it('"at or before" is unsigned: a value beyond 2^63 lies ahead, and is too far ahead', () => {
    const deadline = new L2TscDeadline(unscaled);
    expect(deadline.write(cell(2n ** 63n + 1n), cell(1n), cell(1n))).toBe(TdxStatus.Success);
    expect(deadline.write(cell(2n ** 63n + 2n), cell(1n), cell(1n))).toBe(TdxStatus.OperandInvalid);
  });

  it('has a shadow in native TSC by the inverse of the formula', () => {
    const deadline = new L2TscDeadline(halved);
    expect(deadline.write(cell(3000n), cell(1100n), cell(200n))).toBe(TdxStatus.Success);
    expect(U64.of(0).set(deadline.shadow).toBigInt()).toBe(4000n);
  });

  it.each([
    // offset 2^63 and a ratio of 2^-16: (virtual − offset) >> 16 reaches the multiplier from 2^48 virtual ticks on.
    ['a conversion that overflows', new TscConversion({ multiplier: U64.of(1n << 32n), offset: U64.of(0) }), 1n << 48n, 0n, 0n],
    // A ratio of 2^14: one virtual tick is less than one native tick.
    ['a conversion that gives 0', new TscConversion({ multiplier: U64.of(1n << 62n), offset: U64.of(0) }), 1n, 0n, 0n],
    ['a deadline more than 2^63 native ticks ahead', unscaled, ALL_ONES - 1n, 5n, 5n],
  ])('%s is OPERAND_INVALID, and leaves field and shadow unchanged', (_, conversion, value, virtualNow, nativeNow) => {
    const deadline = new L2TscDeadline(conversion);
    deadline.write(cell(0n), cell(virtualNow), cell(nativeNow + 17n));
    expect(deadline.write(cell(value), cell(virtualNow), cell(nativeNow))).toBe(TdxStatus.OperandInvalid);
    expect(U64.of(1).set(deadline.value).toBigInt()).toBe(0n);
    expect(U64.of(0).set(deadline.shadow).toBigInt()).toBe(nativeNow + 17n);
  });

  it('all ones disarms whatever was armed', () => {
    const deadline = new L2TscDeadline(unscaled);
    deadline.write(cell(7000n), cell(0n), cell(0n));
    expect(deadline.write(cell(ALL_ONES), cell(0n), cell(0n))).toBe(TdxStatus.Success);
    expect(deadline.preemptionTimer(cell(8000n))).toBe(TIMER_OFF);
  });
});

describe('the VMX-preemption timer of an entry', () => {
  it('never ends a run late, and by rounding at most 2^(rate + 1) − 2 native ticks early', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 52n }), fc.integer({ min: 1, max: 2 ** 30 }), fc.integer({ min: 0, max: 10 }), (now, ahead, rate) => {
        const deadline = new L2TscDeadline(unscaled, rate);
        const due = now + BigInt(ahead);
        expect(deadline.write(cell(due), cell(now), cell(now))).toBe(TdxStatus.Success);
        const expiry = new U64();
        deadline.expiry(cell(now), deadline.preemptionTimer(cell(now)), expiry);
        expect(expiry.toBigInt()).toBeLessThanOrEqual(due);
        expect(due - expiry.toBigInt()).toBeLessThanOrEqual(2n ** BigInt(rate + 1) - 2n);
      }),
    );
  });

  it('reaches the bound: both the quotient and the first decrement can lose all but one of 2^rate ticks', () => {
    const deadline = new L2TscDeadline(unscaled, 5);
    deadline.write(cell(31n + 63n), cell(31n), cell(31n));
    const expiry = new U64();
    deadline.expiry(cell(31n), deadline.preemptionTimer(cell(31n)), expiry);
    expect(31n + 63n - expiry.toBigInt()).toBe(62n);
  });

  it('is clamped to 2^32 − 1, so a far deadline expires early by any amount', () => {
    const deadline = new L2TscDeadline(unscaled);
    deadline.write(cell(2n ** 45n), cell(0n), cell(0n));
    expect(deadline.preemptionTimer(cell(0n))).toBe(2 ** 32 - 1);
    const expiry = new U64();
    deadline.expiry(cell(0n), 2 ** 32 - 1, expiry);
    expect(expiry.toBigInt()).toBe((2n ** 32n - 1n) << BigInt(PREEMPTION_TIMER_RATE));
  });

  it('is 0 once the deadline has passed by native TSC, the nearer of both differences, also across 2^64', () => {
    const deadline = new L2TscDeadline(unscaled);
    deadline.write(cell(ALL_ONES - 9n), cell(ALL_ONES - 2000n), cell(ALL_ONES - 2000n));
    expect(deadline.preemptionTimer(cell(ALL_ONES - 1009n))).toBe(Math.floor(1000 / 32));
    expect(deadline.preemptionTimer(cell(ALL_ONES - 9n))).toBe(0);
    expect(deadline.preemptionTimer(cell(5n))).toBe(0);
  });

  it('stays 0 at every further entry until the deadline is written anew', () => {
    const deadline = new L2TscDeadline(unscaled);
    deadline.write(cell(100n), cell(0n), cell(0n));
    expect([200n, 300n, 400n].map((now) => deadline.preemptionTimer(cell(now)))).toEqual([0, 0, 0]);
  });
});
