import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../conformance/manual-clock.js';
import { ReferenceClock } from './reference-clock.js';
import { VmTimeAccess, vmTimeIsAfter, vmTimeIsBefore } from './vmtime.js';
import type { VmTimeState } from './vmtime.js';

function accessAt(osNs: bigint, vm0 = 0n, os0 = 0n): { clock: ManualClock; access: VmTimeAccess } {
  const clock = new ManualClock();
  clock.time.setBigInt(osNs);
  return { clock, access: new VmTimeAccess(clock, U64.of(vm0), U64.of(os0)) };
}

function nowOf(access: VmTimeAccess): bigint {
  const now = new U64();
  access.now(now);
  return now.toBigInt();
}

describe('VmTime (openvmm vmcore::vmtime)', () => {
  it('a poll fires strictly after its timeout, not at it', () => {
    const { clock, access } = accessAt(0n);
    const now = new U64();
    access.setTimeout(U64.of(10));
    clock.time.setNumber(1_000);
    expect(access.poll(now)).toBe(false);
    clock.time.setNumber(1_099);
    expect(access.poll(now)).toBe(false);
    clock.time.setNumber(1_100);
    expect(access.poll(now)).toBe(true);
    expect(now.toBigInt()).toBe(11n);
    expect(access.hasTimeout).toBe(false);
  });

  it('time before the start clamps to the start', () => {
    const { access } = accessAt(999n, 77n, 1_000n);
    expect(nowOf(access)).toBe(77n);
  });

  it('saved and restored, goes on as if nothing had been: time, timeout, and whether somebody waits', () => {
    const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
    const step = fc.oneof(
      u64.map((t) => ({ set: t })),
      u64.map((t) => ({ ifBefore: t })),
      fc.constant({ cancel: true }),
      fc.constant({ poll: true }),
      u64.map((os) => ({ os })),
    );
    const apply = ({ clock, access }: ReturnType<typeof accessAt>, todo: { set?: bigint; ifBefore?: bigint; cancel?: boolean; poll?: boolean; os?: bigint }): string => {
      const now = new U64();
      if (todo.os !== undefined) clock.time.setBigInt(todo.os);
      if (todo.set !== undefined) access.setTimeout(U64.of(todo.set));
      if (todo.ifBefore !== undefined) access.setTimeoutIfBefore(U64.of(todo.ifBefore));
      if (todo.cancel === true) access.cancelTimeout();
      const ready = todo.poll === true && access.poll(now);
      return JSON.stringify([ready, now.toString(), nowOf(access).toString(), access.waiting, access.hasTimeout && new U64().set(access.timeout).toString()]);
    };
    fc.assert(
      fc.property(u64, u64, fc.array(step, { maxLength: 12 }), fc.array(step, { maxLength: 12 }), (vm0, os0, before, after) => {
        const subject = accessAt(os0, vm0, os0);
        for (const todo of before) apply(subject, todo);
        const other = accessAt(subject.clock.time.toBigInt());
        other.access.restore(JSON.parse(JSON.stringify(subject.access.save())) as VmTimeState);
        for (const todo of [{}, ...after]) expect(apply(other, todo)).toBe(apply(subject, todo));
      }),
    );
  });

  it('the host timer for a time is when VmTime reads it, and the start for earlier ones', () => {
    const bounded = fc.bigInt(0n, 2n ** 56n);
    fc.assert(
      fc.property(bounded, bounded, bounded, (vm0, os0, ahead) => {
        const { clock, access } = accessAt(0n, vm0, os0);
        access.hostTimeNs(U64.of(vm0 + ahead), clock.time);
        expect(u64ToBigInt(clock.time)).toBe(os0 + ahead * 100n);
        expect(nowOf(access)).toBe(vm0 + ahead);
        access.hostTimeNs(U64.of(BigInt.asUintN(64, vm0 - 1n - ahead)), clock.time);
        expect(u64ToBigInt(clock.time)).toBe(os0);
      }),
    );
  });

  it('the host timer for a time beyond the OS clock is never, not a wrapped time that lies in the past', () => {
    const { access } = accessAt(5_000n);
    const never = 2n ** 64n - 1n;
    const hostTimeOf = (time: bigint): bigint => {
      const out = new U64();
      access.hostTimeNs(U64.of(time), out);
      return out.toBigInt();
    };
    // 2^62 units of 100 ns are 25 × 2^64 ns.
    expect(hostTimeOf(2n ** 62n)).toBe(never);
    expect(hostTimeOf(never / 100n + 1n)).toBe(never);
    const longest = (never - hostTimeOf(0n)) / 100n;
    expect(hostTimeOf(longest)).toBeLessThan(never);
  });

  it('an equal or later time does not replace a timeout that is set if before', () => {
    const { access } = accessAt(0n);
    for (const [time, kept] of [[50n, 50n], [50n, 50n], [51n, 50n], [49n, 49n], [2n ** 64n - 1n, 2n ** 64n - 1n]] as const) {
      access.setTimeoutIfBefore(U64.of(time));
      expect(u64ToBigInt(access.timeout)).toBe(kept);
    }
  });

  it('comparison is signed, so it survives wrap-around and is not transitive', () => {
    const [a, b, c] = [0n, 2n ** 63n - 1n, 2n ** 64n - 2n].map((value) => U64.of(value)) as [U64, U64, U64];
    expect(vmTimeIsBefore(a, b)).toBe(true);
    expect(vmTimeIsBefore(b, c)).toBe(true);
    expect(vmTimeIsBefore(a, c)).toBe(false);
    expect(vmTimeIsAfter(a, c)).toBe(true);
    expect(vmTimeIsAfter(a, a)).toBe(false);
  });

  it('goes on from where a resumed partition is put', () => {
    const { clock, access } = accessAt(5_000n);
    access.setTimeout(U64.of(1_000));
    access.resume(U64.of(900), U64.of(5_000));
    clock.time.setNumber(6_000);
    expect(nowOf(access)).toBe(910n);
    expect(access.hasTimeout).toBe(true);
  });
});

describe('reference clock', () => {
  it('counts 100 ns from virtual TSC zero (TLFS, MSR 0x40000020)', () => {
    const clock = new ReferenceClock({ rdtsc: (out) => void out.setNumber(6_000_000_000) }, 2_000_000_000);
    const now = new U64();
    clock.now(now);
    // One unit short of 3 s is the truncated scale's doing, where it does not divide evenly.
    expect(now.toBigInt()).toBe((6_000_000_000n * ((10_000_000n << 64n) / 2_000_000_000n)) >> 64n);
    expect(now.toNumber()).toBe(29_999_999);
  });
});
