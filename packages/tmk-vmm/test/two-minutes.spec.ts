/** A one-shot two virtual minutes ahead, under every backing and timer (docs/timer-exits.md, "Two minutes ahead"). */
import { tdxBacking } from '@paravisor/backing-tdx';
import { U64 } from '@paravisor/hcl-protocol';
import type { PartitionObserver, PartitionOptions } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { amount, patience } from './random.js';
import { everyConfiguration, runTest } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

/** A guest slow enough to spin for two minutes in a second of ours; the long tests have one of the usual speed. */
const slow = { ips: amount(1_000_000, 20_000_000), tscHz: 2_000_000_000, timeoutNs: 130e9 };
const TWO_MINUTES_NS = 120e9;
/** The preemption timer's 32 bits, each 2^5 ticks at this frequency: as far as one deadline reaches. */
const REACH_NS = ((2 ** 32 * 2 ** 5) / slow.tscHz) * 1e9;

const PASSED = { kind: 'passed', reason: null } as const;

/** Runs a test and tells when deadlines were written, when the guest's timer was delivered, and how late, in ns. */
function run(name: string, configuration: Configuration, options: Partial<PartitionOptions> = {}) {
  const writtenAt: number[] = [];
  const delivered: { at: number; late: number }[] = [];
  const number = new U64();
  const ns = (ticks: number): number => (ticks / slow.tscHz) * 1e9;
  const observer: PartitionObserver = {
    exit() {},
    deadlineWritten: (_vp, _vtl, _deadline, ticks) => void writtenAt.push(ns(ticks)),
    hostTimerArmed() {},
    hostTimerExpired() {},
    timerArmed() {},
    timerDelivered: (_vp, _vtl, _source, due, now, ticks) => void delivered.push({ at: ns(ticks), late: (number.set(now).toNumber() - number.set(due).toNumber()) * 100 }),
  };
  const { outcome, partition } = runTest(name, configuration, { ...slow, observer, ...options });
  return { outcome, partition, exits: partition.ledger.snapshot().byReason, writtenAt, delivered };
}

describe('a one-shot two minutes ahead, the guest spinning', { timeout: patience }, () => {
  const NAME = 'long::oneshot_spinning';

  it('is lost under the TDX hardware timer: it expires early where the preemption timer ends, is disarmed, and is not armed again', () => {
    const { outcome, exits, writtenAt, delivered } = run(NAME, 'tdx, hardware timer');
    expect(outcome.kind).toBe('failed');
    expect(outcome.reason).toContain('has not fired five seconds after its time');
    // Armed, and disarmed at the early exit 52, 68.7 s later: nothing is written after that.
    expect(writtenAt.length).toBe(2);
    expect(writtenAt[1]! - writtenAt[0]!).toBeGreaterThan(REACH_NS - 1e6);
    expect(writtenAt[1]! - writtenAt[0]!).toBeLessThan(REACH_NS + 1e6);
    expect(exits.paravisor.timer_expired).toBe(1);
    expect(exits.hypervisor.timer_arm).toBe(0);
    // It came at last, with the exit by which the guest gave up.
    expect(delivered.length).toBe(1);
    expect(delivered[0]!.late).toBeGreaterThan(5e9);
  });

  it('comes in time under it when an early expiry is armed again: two deadlines, nothing at the host (remedyEarlyExpiry)', () => {
    const { outcome, exits, delivered } = run(NAME, 'tdx, hardware timer', { backing: tdxBacking({ remedyEarlyExpiry: 'on' }) });
    expect(outcome).toEqual(PASSED);
    expect(exits.paravisor.timer_expired).toBe(2);
    expect(exits.hypervisor.timer_arm).toBe(0);
    expect(delivered[0]!.late).toBeLessThan(20_000);
  });

  it.each(['tdx, VmTime', 'snp, VmTime'] as const)('comes in time under VmTime, by one timer at the host: %s', (configuration) => {
    const { outcome, exits, delivered } = run(NAME, configuration);
    expect(outcome).toEqual(PASSED);
    expect(exits.hypervisor).toMatchObject({ timer_arm: 1, timer_expiry: 1, halt: 0 });
    expect(delivered[0]!.late).toBeLessThan(20_000);
  });
});

describe('a one-shot two minutes ahead, the guest halted', () => {
  it.each(everyConfiguration)('comes in time, by one timer at the host; the hardware timer is not asked (%s)', (configuration) => {
    const { outcome, partition, exits, delivered } = run('long::oneshot_halted', configuration);
    expect(outcome).toEqual(PASSED);
    expect(exits.hypervisor).toMatchObject({ timer_expiry: 1, halt: 1 });
    expect(exits.hypervisor.timer_arm).toBeLessThanOrEqual(2);
    expect(exits.paravisor.timer_expired ?? 0).toBe(0);
    expect(exits.user.timer_expired ?? 0).toBe(configuration === 'tdx, hardware timer' ? 1 : 0);
    expect(delivered[0]!.late).toBeLessThan(20_000);
    expect(partition.virtualNs).toBeGreaterThan(TWO_MINUTES_NS);
  });
});
