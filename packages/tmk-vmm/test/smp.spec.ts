/** Several VPs: whole guests, under every backing and timer. */
import { describe, expect, it } from 'vitest';
import { amount } from './random.js';
import { everyConfiguration, guestImage, runTest } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

const tests = guestImage('smp').tests.map(({ name }) => name);
const PASSED = { kind: 'passed', reason: null } as const;

describe('guests of several VPs', () => {
  it.each(tests)('pass with the same log under every backing and timer, on 2, 4 and 8 VPs: %s', (name) => {
    const first = runTest(name, everyConfiguration[0]!, { vps: 4 }).partition.log;
    expect(first.length).toBe(1);
    for (const configuration of everyConfiguration) {
      for (const vps of [2, 4, 8]) {
        const { outcome, partition } = runTest(name, configuration, { vps });
        expect(outcome, `${configuration}, ${vps} VPs`).toEqual(PASSED);
        expect(partition.log).toEqual(first);
      }
    }
  });

  it.each(tests)('say that there is nothing to do on one VP: %s', (name) => {
    const { outcome, partition } = runTest(name, everyConfiguration[0]!);
    expect(outcome).toEqual(PASSED);
    expect(partition.log).toEqual(['nothing to do: needs 2 VPs']);
  });

  it.each(everyConfiguration)('run twice alike, exits and all (%s)', (configuration) => {
    const tell = () => {
      const { partition } = runTest('smp::ticks_after_sipi', configuration, { vps: 4, seed: 7 });
      return { exits: partition.ledger.snapshot(), timers: partition.timers, instructions: partition.instructions, virtualNs: partition.virtualNs };
    };
    expect(tell()).toEqual(tell());
  });
});

/** 1000 Hz on four VPs, of which the odd ones halt between ticks: for a virtual second here, for ten in the long tests. */
const NAME = amount(0, 1) === 1 ? 'long::ticks_on_all_vps' : 'smp::ticks';
const TICKS = amount(1000, 10_000);

/** Timer exits of each VP. */
function timerExits(configuration: Configuration) {
  const { outcome, partition } = runTest(NAME, configuration, { vps: 4, timeoutNs: 13e9 });
  expect(outcome).toEqual(PASSED);
  expect(partition.timers.expired).toBe(4 * TICKS);
  return [0, 1, 2, 3].map((vp) => {
    const { paravisor, user, hypervisor } = partition.ledger.snapshot({ vp }).byReason;
    return { expired: paravisor.timer_expired ?? 0, madeUp: (user.timer_expired ?? 0) - (paravisor.timer_expired ?? 0), arms: hypervisor.timer_arm!, expiries: hypervisor.timer_expiry! };
  });
}

/** A VP's ticks, and the stray one that its last, cancelled deadline leaves. */
const ticks = expect.toSatisfy((count: number) => count === TICKS || count === TICKS + 1);

describe('1000 Hz on four VPs at once', () => {
  it('costs the host nothing for those that run under the TDX hardware timer, an arm and an expiry a tick for those that halt (PR 2483, mshv_vtl PR 107)', () => {
    const running = { expired: ticks, madeUp: 0, arms: 0, expiries: 0 };
    const halting = { expired: expect.toSatisfy((count: number) => count <= 1), madeUp: ticks, arms: ticks, expiries: ticks };
    expect(timerExits('tdx, hardware timer')).toEqual([running, halting, running, halting]);
  });

  it.each(['tdx, VmTime', 'snp, VmTime'] as const)('costs the host an expiry a tick and at most two arms on every VP under VmTime: %s', (configuration) => {
    for (const { expired, madeUp, arms, expiries } of timerExits(configuration)) {
      expect([expired, madeUp]).toEqual([0, 0]);
      expect(expiries).toSatisfy((count: number) => count === TICKS || count === TICKS + 1);
      expect(arms).toBeGreaterThanOrEqual(TICKS);
      expect(arms).toBeLessThanOrEqual(2 * TICKS);
    }
  });
});
