/** VTL1 at work beside VTL0: whole guests, under every backing and timer. */
import { U64 } from '@paravisor/hcl-protocol';
import type { PartitionObserver, PartitionOptions } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { everyConfiguration, guestImage, runTest, snpWays } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

const HARDWARE = 'tdx, hardware timer';
const TICKS = 100;

/** SNP is seen here as VmTime alone: its kernel's part in STIMER0 is off. */
const vmTimeAlone = (configuration: Configuration): Partial<PartitionOptions> => (configuration === 'snp, VmTime' ? { backing: snpWays.rearm } : {});

describe('guests that turn VTL1 on', () => {
  it.each(guestImage('vsm').tests.map(({ name }) => name))('pass with the same log under every backing and timer: %s', (name) => {
    for (const configuration of everyConfiguration) {
      const { outcome, partition } = runTest(name, configuration);
      expect(outcome, configuration).toEqual({ kind: 'passed', reason: null });
      expect(partition.log).toEqual(runTest(name, everyConfiguration[0]!).partition.log);
    }
  });

  it('find no VTL1 where the partition has none to offer (TLFS, AccessVsm)', () => {
    const { outcome } = runTest('vsm::call_and_return', HARDWARE, { guestVsm: false });
    expect(outcome.kind).toBe('failed');
    expect(outcome.reason).toContain('HV_ACCESS_VSM');
  });
});

describe('a tick of VTL1 while VTL0 runs with its interrupts off', () => {
  it('costs the host nothing under the TDX hardware timer: the deadline is armed for VTL0, which it interrupts (PR 2483)', () => {
    const { partition } = runTest('vsm::preempts_busy', HARDWARE);
    const { paravisor, hypervisor } = partition.ledger.snapshot().byReason;
    expect(paravisor.timer_expired).toBeGreaterThanOrEqual(TICKS);
    expect(paravisor.timer_expired).toBeLessThanOrEqual(TICKS + 1);
    expect(hypervisor).toMatchObject({ timer_arm: 0, timer_expiry: 0, halt: 0 });
    const { paravisor: ofVtl0 } = partition.ledger.snapshot({ vtl: 0 }).byReason;
    expect(ofVtl0.timer_expired).toBe(paravisor.timer_expired);
  });

  it.each(['tdx, VmTime', 'snp, VmTime'] as const)('is an arm and an expiry at the host under VmTime (%s)', (configuration) => {
    const { hypervisor } = runTest('vsm::preempts_busy', configuration, vmTimeAlone(configuration)).partition.ledger.snapshot().byReason;
    expect(hypervisor.timer_expiry).toBeGreaterThanOrEqual(TICKS);
    expect(hypervisor.timer_expiry).toBeLessThanOrEqual(TICKS + 1);
    expect(hypervisor.timer_arm).toBeGreaterThanOrEqual(TICKS);
  });
});

describe('a tick of VTL1 while VTL0 halts', () => {
  it.each(everyConfiguration)('does not end the halt: VTL0 halts once, the host idles the VP again after each tick (%s)', (configuration) => {
    const { partition } = runTest('vsm::preempts_halt', configuration);
    const { paravisor, hypervisor } = partition.ledger.snapshot().byReason;
    expect(paravisor.hlt).toBe(1);
    expect(hypervisor.halt).toBe(TICKS + 1);
    expect(hypervisor.timer_expiry).toBe(TICKS + 1);
  });
});

/** 100 ns: how far what is armed may lie from the due time, by roundings and by the time between two clocks' readings. */
const CLOSE = 50;
const DISARMED = 2 ** 63;

describe('timers of both VTLs', () => {
  it.each(everyConfiguration.flatMap((configuration) => ['vsm::both_timers_busy', 'vsm::both_timers_halted'].map((name) => [configuration, name] as const)))(
    'only the earlier due time is ever asked of hardware or host; the later one is hidden until the earlier has fired (PR 2483): %s, %s',
    (configuration, name) => {
      /** Due times by VTL, 100 ns. */
      const due = new Map<number, number>();
      const askedWith: number[] = [];
      const number = new U64();
      const asked = (at100ns: number): void => {
        if (at100ns >= DISARMED / 200) return;
        askedWith.push(due.size);
        expect(Math.abs(at100ns - Math.min(...due.values()))).toBeLessThan(CLOSE);
      };
      const observer: PartitionObserver = {
        exit() {},
        deadlineWritten: (_vp, _vtl, deadline) => asked(number.set(deadline).toNumber() / 200),
        hostTimerArmed: (_vp, expiryTicks) => asked(expiryTicks / 200),
        hostTimerExpired() {},
        timerArmed: (_vp, vtl, _source, at) => void due.set(vtl, number.set(at).toNumber()),
        timerDelivered: (_vp, vtl) => void due.delete(vtl),
      };
      expect(runTest(name, configuration, { observer, ...vmTimeAlone(configuration) }).outcome.kind).toBe('passed');
      // Asked for with both VTLs' timers running, and with the later one alone.
      expect(new Set(askedWith)).toEqual(new Set([1, 2]));
    },
  );
});
