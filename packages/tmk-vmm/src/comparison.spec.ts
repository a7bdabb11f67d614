import { describe, expect, it } from 'vitest';
import { compareRuns } from './agreement.js';
import { meaningOf } from './meaning.js';
import type { RunReport, TestReport } from './report-model.js';

function test(name: string, ticks: number, hypervisor: TestReport['exits']['byReason']['hypervisor'], seen: Partial<Pick<TestReport, 'outcome' | 'log'>> = {}): TestReport {
  const total = Object.values(hypervisor).reduce((sum, count) => sum + count, 0);
  return {
    name,
    outcome: 'passed',
    expectedFailure: false,
    ok: true,
    reason: null,
    log: ['1000 ticks'],
    guest: { instructions: 1, virtualNs: 1 },
    exits: { paravisor: 0, user: 0, hypervisor: total, byReason: { paravisor: {}, user: {}, hypervisor } },
    timers: { armed: 1, expired: ticks, latencyNs: { p50: null, p99: null, max: null } },
    wallMs: 0,
    ...seen,
  };
}

const run = (backing: string, guestTimer: RunReport['guestTimer'], ...tests: TestReport[]): RunReport => withOptions({}, backing, guestTimer, ...tests);

const withOptions = (options: RunReport['options'], backing: string, guestTimer: RunReport['guestTimer'], ...tests: TestReport[]): RunReport => ({
  backing,
  isolation: backing,
  guestTimer,
  usesHardwareTimer: guestTimer === 'hardware',
  options,
  tests,
});

describe('meaningOf', () => {
  it('says what a tick costs while the guest runs and while it halts, from the figures', () => {
    const hardware = run('tdx', 'hardware', test('busy', 1000, {}), test('idle', 100, { timer_arm: 100, timer_expiry: 100, halt: 100 }));
    const vmTime = run('snp', 'vmtime', test('busy', 1000, { timer_arm: 1000, timer_expiry: 1000 }), test('idle', 100, { timer_arm: 110, timer_expiry: 100, halt: 100 }));
    expect(meaningOf([hardware, vmTime])).toBe(
      'To arm and fire its timer a tick takes the hypervisor, in exits: while the guest runs 0.00 (tdx, hardware timer), 2.00 (snp, VmTime); when it halts between ticks 2.00 (tdx, hardware timer), 2.10 (snp, VmTime). ' +
        "The hardware timer takes the hypervisor out of a running guest's ticks, but not out of a halted one's: only the host can wake it.",
    );
  });

  it('a test that halts for every other tick is neither a running one nor a halting one', () => {
    const mixed = run('tdx', 'hardware', test('mixed', 100, { timer_arm: 50, timer_expiry: 50, halt: 50 }));
    expect(meaningOf([mixed])).toContain('when it halts now and then 1.00 (tdx, hardware timer).');
  });

  it('draws no conclusion that the figures do not show', () => {
    const [hardware, vmTime] = [run('tdx', 'hardware', test('busy', 10, { timer_arm: 10 })), run('tdx', 'vmtime', test('busy', 10, { timer_arm: 20 }))];
    expect(meaningOf([hardware, vmTime])).toContain('The hardware timer saves a running guest 50 % of them.');
    expect(meaningOf([vmTime])).toMatch(/2\.00 \(tdx, VmTime\)\.$/);
  });

  it('tells runs of one backing apart by the options in which they differ, and by no others', () => {
    const rearm = (value: string) => withOptions({ rearm: value, offload: 'on' }, 'snp', 'vmtime', test('busy', 10, { timer_arm: value === 'on' ? 10 : 20 }));
    expect(meaningOf([rearm('off'), rearm('on'), run('tdx', 'vmtime', test('busy', 10, { timer_arm: 5 }))])).toContain('2.00 (snp, VmTime, rearm=off), 1.00 (snp, VmTime, rearm=on), 0.50 (tdx, VmTime)');
  });

  it('claims nothing when no timer came due', () => {
    expect(meaningOf([run('tdx', 'hardware', test('boot', 0, {}))])).toContain('no cost of a tick to compare');
  });
});

describe('compareRuns', () => {
  it('finds runs the same whose outcomes and logs are, whatever their exits', () => {
    expect(compareRuns([run('tdx', 'hardware', test('t', 1, {})), run('snp', 'vmtime', test('t', 1, { halt: 9 }))])).toEqual({ same: true, differences: [] });
  });

  it('names the test, the runs and the first log line that differ', () => {
    const { same, differences } = compareRuns([
      run('tdx', 'hardware', test('t', 1, {}, { log: ['a', 'b'] })),
      run('snp', 'vmtime', test('t', 1, {}, { log: ['a'], outcome: 'timeout' })),
    ]);
    expect(same).toBe(false);
    expect(differences).toEqual([
      't: tdx, hardware timer and snp, VmTime end as passed and timeout',
      't: tdx, hardware timer and snp, VmTime differ in log line 2',
    ]);
  });
});
