/** What a host that misbehaves does to a guest's timers, and what it cannot do (docs/conformance.md, "The untrusted host"), on whole partitions. */
import { StartupError } from '@paravisor/virt-core';
import { hostTimerFigures } from '@paravisor/virt-machine';
import { describe, expect, it } from 'vitest';
import { SPIN, machineCode, runImage, runTest, smallGuest, wrmsr } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

/** 100 ns units in a millisecond. */
const MILLISECOND = 10_000;
const VECTOR = 0x50;
const enableX2apic = `b9 1b000000 0f32 0d 000c0000 0f30 ${wrmsr(0x80f, 0x1ff)}`;
/** A periodic STIMER0 of 1 ms in direct mode. */
const startTimer = wrmsr(0x400000b0, 0x1003 | (VECTOR << 4)) + wrmsr(0x400000b1, MILLISECOND);

type Manner = 'honest' | 'drop' | 'delay' | 'repeat' | 'flood';

/** A guest with a 1000 Hz timer that spins: for 100 virtual ms, or those given. */
const spin = (configuration: Configuration, timer: Manner) =>
  runImage(smallGuest(machineCode(enableX2apic, startTimer, SPIN)), 0, configuration, { timeoutNs: 100e6, host: { timer } }).partition;
/** One that halts from tick to tick, for a second of ticks. */
const halt = (configuration: Configuration, timer: Manner) => runTest('timers::stimer_periodic_idle', configuration, { timeoutNs: 2e9, host: { timer } });

const VMTIME = ['tdx, VmTime', 'snp, VmTime'] as const;
const everyConfiguration = ['tdx, hardware timer', ...VMTIME] as const;

describe('a guest that runs, with the hardware timer (PR 2483: the module ends the run, not the host)', () => {
  const honest = spin('tdx, hardware timer', 'honest');

  it.each(['drop', 'delay', 'repeat'] as const)('does not notice a host that does this to VTL2’s timer: %s', (manner) => {
    const partition = spin('tdx, hardware timer', manner);
    expect(honest.timers.expired).toBe(99);
    expect(partition.timers).toEqual(honest.timers);
    expect(partition.instructions).toBe(honest.instructions);
    expect(partition.ledger.snapshot()).toEqual(honest.ledger.snapshot());
  });

  it('gets every tick under a flood, and less time: its latency grows by one interrupt at most', () => {
    const partition = spin('tdx, hardware timer', 'flood');
    expect(partition.timers.expired).toBe(99);
    expect(partition.timers.latencyNs.max! - honest.timers.latencyNs.max!).toBeLessThan(5_000);
    expect(partition.instructions).toBeGreaterThan(0.75 * honest.instructions);
    expect(partition.instructions).toBeLessThan(0.9 * honest.instructions);
  });
});

describe.each(VMTIME)('a guest that runs, with VmTime: %s', (configuration) => {
  it('gets no tick at all from a host that drops: nothing else calls VTL2', () => {
    const partition = spin(configuration, 'drop');
    expect(partition.timers).toMatchObject({ expired: 0 });
    expect(partition.ledger.snapshot().byReason.hypervisor).toMatchObject({ timer_arm: 1, timer_expiry: 0 });
  });

  it('gets each tick as late as the host likes, and loses those between: the timer counts from where its expiry was noticed', () => {
    const partition = spin(configuration, 'delay');
    expect(partition.timers.latencyNs.p50!).toBeGreaterThanOrEqual(hostTimerFigures.delayNs);
    expect(partition.timers.latencyNs.max!).toBeLessThan(hostTimerFigures.delayNs + 10_000);
    // 1 ms and 5 ms late, in 100 ms.
    expect(partition.timers.expired).toBe(16);
  });

  it('gets each tick once, however often the host repeats it; each repetition is an exit, and the kernel arms its timer anew', () => {
    const [honest, partition] = [spin(configuration, 'honest'), spin(configuration, 'repeat')];
    expect(partition.timers.expired).toBe(honest.timers.expired);
    const { timer_arm: arms, timer_expiry: expiries } = partition.ledger.snapshot().byReason.hypervisor;
    expect(expiries).toBe(2 * partition.timers.expired);
    expect(arms).toBeGreaterThan(1.9 * partition.timers.expired);
    expect(partition.instructions).toBeGreaterThan(0.98 * honest.instructions);
  });

  it('gets each tick once under a flood, with an exit and an arming for every interrupt of it', () => {
    const [honest, partition] = [spin(configuration, 'honest'), spin(configuration, 'flood')];
    expect(partition.timers.expired).toBe(honest.timers.expired);
    const { timer_arm: arms, host_interrupt: interrupts } = partition.ledger.snapshot().byReason.hypervisor;
    expect(interrupts!).toBeGreaterThan(4000);
    expect(arms!).toBeGreaterThan(0.95 * interrupts!);
    expect(partition.instructions).toBeLessThan(0.8 * honest.instructions);
  });
});

describe.each(everyConfiguration)('a guest that halts: %s', (configuration) => {
  it('is never woken by a host that drops, the hardware timer or not: the host cannot see the deadline (mshv_vtl PR 107)', () => {
    const { outcome, partition } = halt(configuration, 'drop');
    expect(outcome.kind).toBe('timeout');
    expect(partition.timers.expired).toBe(0);
  });

  it('is woken as late as the host likes', () => {
    const { partition } = halt(configuration, 'delay');
    expect(partition.timers.latencyNs.p50!).toBeGreaterThanOrEqual(hostTimerFigures.delayNs);
  });

  it('gets each tick once from a host that repeats or floods', () => {
    const honest = halt(configuration, 'honest');
    for (const manner of ['repeat', 'flood'] as const) {
      const { outcome, partition } = halt(configuration, manner);
      expect(outcome).toEqual(honest.outcome);
      expect(partition.timers.expired).toBe(honest.partition.timers.expired);
    }
  });
});

describe('a host that answers nonsense', () => {
  const host = { answers: 'nonsense' } as const;

  it.each(['tdx, hardware timer', 'tdx, VmTime'] as const)('is found out at start-up under TDX: its frequency is not the one of CPUID 0x15 (%s)', (configuration) => {
    expect(() => runTest('basics::boot', configuration, { host })).toThrow(StartupError);
  });

  it('sets the pace of an SNP guest’s reference time, and makes its timers late by it: nothing else tells the frequency', () => {
    const image = smallGuest(machineCode(enableX2apic, startTimer, SPIN));
    const { partition } = runImage(image, 0, 'snp, VmTime', { timeoutNs: 100e6, host });
    // 2,000,000,000 Hz scrambled are 762,302,042: a millisecond of VTL2's clock is 2.6 of the guest's.
    const pace = 2_000_000_000 / 762_302_042;
    expect(partition.timers.expired).toBe(97);
    expect(partition.timers.latencyNs.p50! / 1e6).toBeCloseTo(pace - 1, 1);
  });
});
