/** What openvmm's SNP path does to a guest's timers by its own mistakes (docs/conformance.md, "Hazards of the reference"), on whole partitions. */
import { describe, expect, it } from 'vitest';
import { SPIN, machineCode, runImage, runTest, smallGuest, snpWays, wrmsr } from './whole-partition.js';

/** 100 ns units in a millisecond. */
const MILLISECOND = 10_000;
const CPUID = '0fa2';
const STIMER0_COUNT = 0x400000b1;
/** x2APIC on by APIC_BASE, software-enabled; STIMER0 one-shot, auto-enable, direct mode to vector 0x50. */
const setUp = `b9 1b000000 0f32 0d 000c0000 0f30 ${wrmsr(0x80f, 0x1ff)} ${wrmsr(0x400000b0, 0x1508)}`;

type Way = keyof typeof snpWays;
const ways = Object.keys(snpWays) as Way[];
const runWay = (way: Way, code: string, options: { timeoutNs: number; ips?: number }) =>
  runImage(smallGuest(machineCode(setUp, code)), 0, 'snp, VmTime', { ...options, backing: snpWays[way] }).partition;

describe('hazard: STIMER0 in the kernel (openvmm PR 4224)', () => {
  it('a count that is past already is delivered later: by an arm and an expiry of the host\'s, where user mode\'s scan would find it due at once', () => {
    const [before, after] = (['rearm', 'handOff'] as const).map((way) => runTest('deadlines::past', 'snp, VmTime', { backing: snpWays[way] }).partition);
    const timerExits = (partition: typeof before) => {
      const { timer_arm, timer_expiry } = partition!.ledger.snapshot().byReason.hypervisor;
      return [timer_arm, timer_expiry];
    };
    const { expired } = before!.timers;
    expect(after!.timers.expired).toBe(expired);
    expect([timerExits(before), timerExits(after)]).toEqual([
      [0, 0],
      [expired, expired],
    ]);
    expect(after!.timers.latencyNs.p50! - before!.timers.latencyNs.p50!).toBeGreaterThan(1_000);
  });

  it('a count moved later in the kernel leaves the host timer armed for the earlier due time: one wake-up for nothing', () => {
    // The exit in between is what lets user mode arm its own timer for the first count.
    const code = wrmsr(STIMER0_COUNT, 50 * MILLISECOND) + CPUID + wrmsr(STIMER0_COUNT, 80 * MILLISECOND) + SPIN;
    const expiries = ways.map((way) => {
      const { ledger, timers } = runWay(way, code, { timeoutNs: 100e6 });
      expect(timers.expired).toBe(1);
      return ledger.snapshot().byReason.hypervisor.timer_expiry;
    });
    expect(expiries).toEqual([1, 1, 2]);
  });
});

describe('hazard: a count written anew within 100 ns after it came due', () => {
  /** Writes a count for 5 ms, then one for 200 ms as soon as the TSC has passed 5 ms by `late` ticks: 10,000,000 at 2 GHz. NOPs make the phase. */
  const rewrite = (late: number): string => {
    const ticks = new Uint8Array(Uint32Array.of(10_000_000 + late).buffer);
    const limit = [...ticks].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    // mov ecx, STIMER0_COUNT; again: rdtsc; cmp eax, limit; jb again; mov eax, 2000000; xor edx, edx; wrmsr
    return `${'90'.repeat(10)} ${wrmsr(STIMER0_COUNT, 5 * MILLISECOND)} b9 b1000040 0f31 3d ${limit} 72f7 b8 80841e00 31d2 0f30 ${SPIN}`;
  };
  const fine = { timeoutNs: 10e6, ips: 1_000_000_000 };
  const expired = (late: number): readonly number[] => {
    const tdx = runImage(smallGuest(machineCode(setUp, rewrite(late))), 0, 'tdx, hardware timer', fine).partition;
    return [...ways.map((way) => runWay(way, rewrite(late), fine)), tdx].map(({ timers }) => timers.expired);
  };

  it('never expires for the first: every timer ends the run a little after the due time, and the write forgets that the timer was due', () => {
    expect(expired(0)).toEqual([0, 0, 0, 0]);
  });

  it('does for a guest that is half a microsecond later', () => {
    expect(expired(1000)).toEqual([1, 1, 1, 1]);
  });
});
