/** What a deadline costs in exits, by what the guest does meanwhile: exact counts of the exits that are a timer's. */
import type { PartitionObserver, PartitionOptions } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { everyConfiguration, runTest, snpWays } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

/** How often each guest does what it does. */
const TIMES = 20;

/** SNP is seen here as VmTime alone: its kernel's part in STIMER0 is off. */
const vmTimeAlone = (configuration: Configuration): Partial<PartitionOptions> => (configuration === 'snp, VmTime' ? { backing: snpWays.rearm } : {});

/** The exits of a run that are a timer's doing, and how often a deadline was written for the guest. */
function timerExits(name: string, configuration: Configuration, options: Partial<PartitionOptions> = {}) {
  let deadlinesWritten = 0;
  const observer: PartitionObserver = {
    exit() {},
    deadlineWritten: () => void (deadlinesWritten += 1),
    hostTimerArmed() {},
    hostTimerExpired() {},
    timerArmed() {},
    timerDelivered() {},
  };
  const { outcome, partition } = runTest(name, configuration, { observer, ...vmTimeAlone(configuration), ...options });
  expect(outcome).toEqual({ kind: 'passed', reason: null });
  const { paravisor, user, hypervisor } = partition.ledger.snapshot().byReason;
  return {
    /** Exits 52 of the module's, and those the driver made up for a halted guest. */
    expired: paravisor.timer_expired ?? 0,
    madeUp: (user.timer_expired ?? 0) - (paravisor.timer_expired ?? 0),
    arms: hypervisor.timer_arm!,
    expiries: hypervisor.timer_expiry!,
    halts: hypervisor.halt!,
    deadlinesWritten,
    exits: partition.ledger.snapshot().paravisor,
  };
}

const HARDWARE = 'tdx, hardware timer';
const vmTime = ['tdx, VmTime', 'snp, VmTime'] as const;

describe.each(['deadlines::halted', 'deadlines::guest_idle'])('a deadline while the guest halts: %s', (name) => {
  it('ends under the TDX hardware timer by an exit 52 the driver makes up; the host arms, halts and expires once each (mshv_vtl PR 107)', () => {
    expect(timerExits(name, HARDWARE)).toMatchObject({ expired: 0, madeUp: TIMES, arms: TIMES, expiries: TIMES, halts: TIMES });
  });

  it('is written to the module when armed, and disarmed once it has expired, since the next round asks for nothing (mshv_vtl PR 107)', () => {
    expect(timerExits(name, HARDWARE).deadlinesWritten).toBe(2 * TIMES);
  });

  it.each(vmTime)('costs the same three exits under VmTime, but for a timeout that comes out 100 ns different: %s', (configuration) => {
    const { arms, ...others } = timerExits(name, configuration);
    expect(others).toMatchObject({ expired: 0, madeUp: 0, expiries: TIMES, halts: TIMES });
    expect(arms).toBeGreaterThanOrEqual(TIMES);
    expect(arms).toBeLessThanOrEqual(2 * TIMES);
  });
});

describe('a deadline after its expiry', () => {
  it('does not storm: a second of spinning after one expiry has no exit at all, since the driver disarmed it (mshv_vtl PR 107)', () => {
    const { exits, ...timer } = timerExits('deadlines::stale', HARDWARE);
    expect(timer).toEqual({ expired: 1, madeUp: 0, arms: 0, expiries: 0, halts: 0, deadlinesWritten: 2 });
    // What is left is the set-up, the end of interrupt, the log line and the end.
    expect(exits).toBeLessThan(20);
  });

  it.each(vmTime)('is one arm and one expiry under VmTime: %s', (configuration) => {
    expect(timerExits('deadlines::stale', configuration)).toMatchObject({ expired: 0, arms: 1, expiries: 1, halts: 0 });
  });
});

describe.each(['deadlines::moved_earlier', 'deadlines::moved_later'])('a deadline that moves twenty times: %s', (name) => {
  it('is written to the module each time, and once to disarm it; one exit 52, nothing at the host (PR 2483)', () => {
    expect(timerExits(name, HARDWARE)).toMatchObject({ expired: 1, madeUp: 0, arms: 0, expiries: 0, deadlinesWritten: TIMES + 1 });
  });

  it.each(vmTime)('is armed at the host each time under VmTime, and expires once: %s', (configuration) => {
    expect(timerExits(name, configuration)).toMatchObject({ arms: TIMES, expiries: 1 });
  });
});

describe('a due time that is over', () => {
  it.each(everyConfiguration)('needs no timer: the round that follows the write delivers it (%s)', (configuration) => {
    expect(timerExits('deadlines::past', configuration)).toMatchObject({ expired: 0, madeUp: 0, arms: 0, expiries: 0, deadlinesWritten: 0 });
  });
});

describe('a timer that is cancelled', () => {
  it('leaves its deadline in the hardware: one stray exit 52 each time, and none after it (PR 2483)', () => {
    expect(timerExits('deadlines::cancelled', HARDWARE)).toMatchObject({ expired: TIMES, madeUp: TIMES, arms: TIMES, expiries: TIMES });
  });

  it.each(vmTime)('leaves the host timer armed: one stray expiry each time (%s)', (configuration) => {
    expect(timerExits('deadlines::cancelled', configuration)).toMatchObject({ expired: 0, expiries: 2 * TIMES });
  });
});

describe('a deadline among many other exits', () => {
  const NAME = 'deadlines::many_exits';

  it('is written once and disarmed once, and the host never hears of it (PR 2483)', () => {
    const { exits, ...timer } = timerExits(NAME, HARDWARE);
    expect(timer).toEqual({ expired: 1, madeUp: 0, arms: 0, expiries: 0, halts: 0, deadlinesWritten: 2 });
    expect(exits).toBeGreaterThan(10_000);
  });

  it('storms the host with arms under SNP where every round makes its timeout anew, and is armed once where it keeps it (PR 3935)', () => {
    const off = timerExits(NAME, 'snp, VmTime', { backing: snpWays.naive });
    expect(off.arms).toBeGreaterThan(1000);
    const on = timerExits(NAME, 'snp, VmTime', { backing: snpWays.rearm });
    expect(on).toMatchObject({ arms: 1, expiries: 1 });
    expect(on.exits).toBeGreaterThan(10_000);
  });

  it('storms the host under TDX with VmTime too, which has no such memory', () => {
    expect(timerExits(NAME, 'tdx, VmTime').arms).toBeGreaterThan(1000);
  });
});
