import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ApicTimer, dividerShift } from './timer.js';

/** The reference's arithmetic, in integers of any size and nanoseconds. */
class PlainTimer {
  initial = 0n;
  current = 0n;
  last = 0n;
  shift = 0n;

  evaluate(now: bigint, periodic: boolean): boolean {
    if (this.current === 0n) return false;
    const counts = BigInt.asUintN(64, (now - this.last) * 100n) / 5n >> this.shift;
    const expired = counts >= this.current;
    if (expired && !periodic) {
      this.current = 0n;
      return true;
    }
    this.current = expired ? this.initial - ((counts - this.current) % this.initial) : this.current - counts;
    this.last += ((counts << this.shift) * 5n) / 100n;
    return expired;
  }
}

describe('local APIC timer (openvmm virt_support_apic; SDM 11.5.4)', () => {
  it.each([
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ])('divide configuration %i divides by %i', (dcr, divider) => {
    expect(1 << dividerShift(dcr)).toBe(divider);
  });

  it('counts as plain integers do, over any course of looks', () => {
    const step = fc.oneof(fc.bigInt(0n, 100n), fc.bigInt(0n, 10_000_000n), fc.bigInt(0n, 2n ** 58n));
    const count = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }));
    fc.assert(
      fc.property(count, fc.constantFrom(0, 1, 2, 3, 8, 9, 10, 11), fc.boolean(), fc.array(step, { maxLength: 12 }), (initial, dcr, periodic, steps) => {
        const timer = new ApicTimer();
        const plain = new PlainTimer();
        timer.setDivide(dcr, new U64());
        timer.start(initial, new U64());
        Object.assign(plain, { initial: BigInt(initial), current: BigInt(initial), shift: BigInt(dividerShift(dcr)) });
        let now = 0n;
        for (const ahead of steps) {
          now += ahead;
          expect(timer.evaluate(U64.of(now), periodic)).toBe(plain.evaluate(now, periodic));
          expect([BigInt(timer.currentCount), timer.lastTime.toBigInt()]).toEqual([plain.current, plain.last]);
        }
      }),
    );
  });

  it('a due time is now plus the remaining ticks, cut to 100 ns', () => {
    const timer = new ApicTimer();
    timer.setDivide(0b1011, new U64());
    timer.start(126, U64.of(488));
    expect([timer.hasNext, u64ToBigInt(timer.nextTime)]).toEqual([true, 494n]);
  });

  it('runs fast for a guest that reads the count often, because each look cuts to 100 ns', () => {
    const timer = new ApicTimer();
    timer.setDivide(0b1010, new U64());
    timer.start(1_000, new U64());
    // 10 units are 1000 ns: one count of 640 ns, of which the evaluation time keeps 600. Sixty-four looks should be 100 counts.
    for (let look = 1; look <= 64; look++) timer.evaluate(U64.of(look * 10), false);
    expect(timer.currentCount).toBeLessThan(900);
  });

  it('keeps the phase of a periodic timer whose periods were missed', () => {
    const timer = new ApicTimer();
    timer.setDivide(0b1011, new U64());
    timer.start(2_000, new U64());
    expect(timer.evaluate(U64.of(350), true)).toBe(true);
    expect(timer.currentCount).toBe(1_000);
    expect(u64ToBigInt(timer.expiredAt)).toBe(100n);
  });

  it('VmTime going backwards is an error', () => {
    const timer = new ApicTimer();
    timer.start(10, U64.of(100));
    expect(() => timer.evaluate(U64.of(99), false)).toThrow(/backwards/);
  });
});
