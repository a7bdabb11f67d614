/** VTL1 at work beside VTL0: whole guests, under every backing and timer. */
import { tdxBacking } from '@paravisor/backing-tdx';
import { U64 } from '@paravisor/hcl-protocol';
import type { PartitionObserver, PartitionOptions } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { everyConfiguration, guestImage, runTest, snpWays } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

const HARDWARE = 'tdx, hardware timer';
const TICKS = 100;

/** Where VTL1's timers reach VTL0's runs. Under the TDX hardware timer they do not: the hazard below. */
const working = ['tdx, VmTime', 'snp, VmTime'] as const;

/** SNP is seen here as VmTime alone: its kernel's part in STIMER0 is off. */
const vmTimeAlone = (configuration: Configuration): Partial<PartitionOptions> => (configuration === 'snp, VmTime' ? { backing: snpWays.rearm } : {});

/** Tests that need no timer of one VTL to end a run of the other. */
const untroubled = ['vsm::call_and_return', 'vsm::enabled_once', 'vsm::one_timer_cancelled', 'vsm::vtl0_waits', 'vsm::messages'];

describe('guests that turn VTL1 on', () => {
  it.each(guestImage('vsm').tests.map(({ name }) => name))('pass with the same log under every backing and timer: %s', (name) => {
    const where: readonly Configuration[] = untroubled.includes(name) ? everyConfiguration : working;
    const logs = where.map((configuration) => {
      const { outcome, partition } = runTest(name, configuration);
      expect(outcome, configuration).toEqual({ kind: 'passed', reason: null });
      return partition.log;
    });
    // Where the deadline follows the VP into the other VTL's L2 VM, the hardware timer serves both.
    const remedied = runTest(name, HARDWARE, { backing: tdxBacking({ remedyVtlSwitch: 'on' }) });
    expect(remedied.outcome).toEqual({ kind: 'passed', reason: null });
    logs.push(remedied.partition.log);
    expect(logs[0]!.length).toBe(1);
    for (const log of logs) expect(log).toEqual(logs[0]);
  });

  it('find no VTL1 where the partition has none to offer (TLFS, AccessVsm)', () => {
    const { outcome } = runTest('vsm::call_and_return', HARDWARE, { guestVsm: false });
    expect(outcome.kind).toBe('failed');
    expect(outcome.reason).toContain('HV_ACCESS_VSM');
  });
});

/** Deadlines written for each VTL's L2 VM, and timers delivered, until VTL0 stops waiting or time is up. */
function underHardwareTimer(name: string) {
  const written = [0, 0];
  let delivered = 0;
  const observer: PartitionObserver = {
    exit() {},
    deadlineWritten: (_vp, vtl) => void (written[vtl]! += 1),
    hostTimerArmed() {},
    hostTimerExpired() {},
    timerArmed() {},
    timerDelivered: () => void (delivered += 1),
  };
  const { outcome, partition } = runTest(name, HARDWARE, { observer, timeoutNs: 5e9 });
  return { outcome, written, delivered, exits: partition.ledger.snapshot().byReason, latencyNs: partition.timers.latencyNs };
}

describe('hazard: the deadline of one VTL stays behind when the other runs', () => {
  it('VTL1 starts its timer, and returns: VTL0 spins through all of its ticks, for two seconds without an exit (PR 2483, mshv_vtl PR 107)', () => {
    const { outcome, written, delivered, exits, latencyNs } = underHardwareTimer('vsm::preempts_busy');
    expect(outcome.kind).toBe('failed');
    expect(outcome.reason).toContain('hv_reference_time() < limit');
    // Written for VTL1's L2 VM while that ran. Then the round wants what it takes to be armed, and asks for nothing; VTL0's L2 VM has no deadline.
    expect(written).toEqual([0, 1]);
    expect(exits.paravisor.timer_expired).toBe(0);
    // It comes with the exit by which VTL0 gives up.
    expect(delivered).toBe(1);
    expect(latencyNs.max).toBeGreaterThan(1.9e9);
  });

  it('VTL0 halts: the driver looks at the deadline of its L2 VM, finds none, and it sleeps for ever', () => {
    const { outcome, exits } = underHardwareTimer('vsm::both_timers_halted');
    expect(outcome.kind).toBe('timeout');
    expect(exits.hypervisor.halt).toBe(1);
    expect(exits.hypervisor.timer_arm).toBe(0);
  });

  it('VTL0 calls with its timer armed: VTL1 is not told when it is due (VINA)', () => {
    const { outcome, written } = underHardwareTimer('vsm::vina');
    expect(outcome.kind).toBe('failed');
    expect(written).toEqual([1, 0]);
  });
});

describe('a tick of VTL1 while VTL0 runs with its interrupts off', () => {
  it('costs the host nothing under the TDX hardware timer, if the deadline follows the VP into the other L2 VM (remedyVtlSwitch)', () => {
    const { outcome, partition } = runTest('vsm::preempts_busy', HARDWARE, { backing: tdxBacking({ remedyVtlSwitch: 'on' }) });
    expect(outcome.kind).toBe('passed');
    const { paravisor, hypervisor } = partition.ledger.snapshot().byReason;
    expect(paravisor.timer_expired).toBeGreaterThanOrEqual(TICKS);
    expect(hypervisor).toMatchObject({ timer_arm: 0, timer_expiry: 0 });
  });

  it.each(working)('is an arm and an expiry at the host under VmTime (%s)', (configuration) => {
    const { hypervisor } = runTest('vsm::preempts_busy', configuration, vmTimeAlone(configuration)).partition.ledger.snapshot().byReason;
    expect(hypervisor.timer_expiry).toBeGreaterThanOrEqual(TICKS);
    expect(hypervisor.timer_expiry).toBeLessThanOrEqual(TICKS + 1);
    expect(hypervisor.timer_arm).toBeGreaterThanOrEqual(TICKS);
  });
});

describe('a tick of VTL1 while VTL0 halts', () => {
  it.each(working)('does not end the halt: VTL0 halts once, the host idles the VP again after each tick (%s)', (configuration) => {
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
  it.each(working.flatMap((configuration) => ['vsm::both_timers_busy', 'vsm::both_timers_halted'].map((name) => [configuration, name] as const)))(
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
      // The earlier, then the later one alone.
      expect(askedWith.length).toBeGreaterThanOrEqual(2);
      expect(askedWith.at(-1)).toBe(1);
    },
  );
});
