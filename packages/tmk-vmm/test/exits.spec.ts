/** Whole partitions with real guests, under every backing and timer: what a timer costs, and that the guest cannot tell. */
import { snpBacking } from '@paravisor/backing-snp';
import { tdxBacking } from '@paravisor/backing-tdx';
import { PartitionError, createPartition, tmkLoader } from '@paravisor/partition';
import type { PartitionOptions, RunOutcome } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { SPIN, everyConfiguration, guestImage, machineCode, runImage, runTest, smallGuest } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

/** Guest speed, and a pair of frequencies that nothing divides. */
const speeds = [
  ['2 GHz and 20 million instructions a second', {}],
  ['2,100,000,123 Hz and 7,000,003 instructions a second', { tscHz: 2_100_000_123, ips: 7_000_003 }],
] as const;

const PASSED: RunOutcome = { kind: 'passed', reason: null };

/** Runs a test of `timers.elf` that must pass, and gives its exits by reason. */
function exitsOf(name: string, configuration: Configuration, options: Partial<PartitionOptions> = {}) {
  const { outcome, partition } = runTest(name, configuration, options);
  expect(outcome).toEqual(PASSED);
  return partition.ledger.snapshot();
}

const BUSY = 'timers::stimer_periodic_busy';
const IDLE = 'timers::stimer_periodic_idle';
const TICKS = 1000;

describe.each(speeds)('1000 ticks at 1000 Hz, at %s', (_, speed) => {
  it('stimer_periodic_busy costs the host nothing under the TDX hardware timer, one deadline a tick (PR 2483)', () => {
    const { byReason } = exitsOf(BUSY, 'tdx, hardware timer', speed);
    expect(byReason.hypervisor).toMatchObject({ timer_arm: 0, timer_expiry: 0, halt: 0, vmpl_switch: 0, host_interrupt: 0 });
    expect(Math.abs(byReason.paravisor.timer_expired! - TICKS)).toBeLessThanOrEqual(2);
  });

  it.each(['tdx, VmTime', 'snp, VmTime'] as const)('stimer_periodic_busy costs the host an arm and an expiry a tick under VmTime, and at most three arms: %s', (configuration) => {
    const { byReason } = exitsOf(BUSY, configuration, speed);
    for (const reason of ['timer_arm', 'timer_expiry'] as const) {
      expect(byReason.hypervisor[reason]).toBeGreaterThanOrEqual(TICKS);
      expect(byReason.hypervisor[reason]).toBeLessThanOrEqual(3 * TICKS);
    }
    expect(byReason.paravisor.timer_expired ?? 0).toBe(0);
  });

  it('stimer_periodic_idle costs the host a halt, an arm and an expiry a tick even under the TDX hardware timer (mshv_vtl PR 107)', () => {
    const { byReason } = exitsOf(IDLE, 'tdx, hardware timer', speed);
    for (const reason of ['halt', 'timer_arm', 'timer_expiry'] as const) expect(byReason.hypervisor[reason]).toBeGreaterThanOrEqual(TICKS - 2);
    // Its expiries are faked by the driver: user exits that no lower VTL made.
    expect(byReason.user.timer_expired).toBeGreaterThanOrEqual(TICKS - 2);
    expect(byReason.paravisor.timer_expired).toBeLessThanOrEqual(2);
  });
});

describe('the ledger of a whole run', () => {
  it.each(everyConfiguration)('adds up: every exit has a reason, and every entered run that came back is a user exit (%s)', (configuration) => {
    const { byReason, ...totals } = exitsOf(BUSY, configuration);
    for (const kind of ['paravisor', 'user', 'hypervisor'] as const) expect(Object.values(byReason[kind]).reduce((sum, count) => sum + count, 0)).toBe(totals[kind]);
    // What the driver finishes in the kernel: under SNP this guest's one write of STIMER0_COUNT (PR 4224), under TDX interrupts for VTL2. The guest never
    // halts, so what user mode sees besides entered runs is what was cancelled.
    const inKernel = (['msr_write', 'hw_interrupt'] as const).map((reason) => (byReason.paravisor[reason] ?? 0) - (byReason.user[reason] ?? 0));
    expect(inKernel).toEqual(configuration.startsWith('snp') ? [1, 0] : [0, byReason.paravisor.hw_interrupt]);
    expect(totals.user).toBe(totals.paravisor - inKernel[0]! - inKernel[1]! + byReason.user.cancelled!);
  });

  it('has two VMPL switches for every exit of a lower VTL under SNP, and none under TDX (APM 15.36)', () => {
    // The last write of a guest ends the run before its exit has an entry behind it: in and out are still a pair.
    const { byReason, paravisor } = exitsOf(BUSY, 'snp, VmTime');
    expect(byReason.hypervisor.vmpl_switch).toBe(2 * paravisor);
    for (const configuration of ['tdx, hardware timer', 'tdx, VmTime'] as const) expect(exitsOf(BUSY, configuration).byReason.hypervisor.vmpl_switch).toBe(0);
  });

  it('SNP arms the host timer once a tick, and more often where every round makes its timeout anew (PR 3935)', () => {
    const armsOf = (rearm: 'on' | 'off') => exitsOf(BUSY, 'snp, VmTime', { backing: snpBacking({ rearm }) }).byReason.hypervisor.timer_arm!;
    expect(armsOf('on')).toBeLessThan(armsOf('off'));
  });

  it('a TDX guest that runs costs the host no timer exit whatever crossings cost', () => {
    const costs = { vmExit: 15_000, vmEntry: 15_000, vmmEmulation: 20_000 };
    expect(exitsOf(BUSY, 'tdx, hardware timer', { costs }).byReason.hypervisor).toMatchObject({ timer_arm: 0, timer_expiry: 0 });
  });
});

describe('what the guest sees', () => {
  const tests = (['timers', 'basics'] as const).flatMap((name) => guestImage(name).tests);

  it.each(tests.map(({ name }) => name))('gives the same outcome and log under every backing and timer: %s', (name) => {
    const { expectedFailure } = tests.find((test) => test.name === name)!;
    const seen = everyConfiguration.map((configuration) => {
      const { outcome, partition } = runTest(name, configuration);
      return { kind: outcome.kind, log: partition.log };
    });
    expect(seen[0]!.kind).toBe(expectedFailure ? 'failed' : 'passed');
    for (const other of seen) expect(other).toEqual(seen[0]);
  });

  it.each([BUSY, 'timers::stimer_four', 'timers::stimer_oneshot_message'])('does not depend on its speed: %s', (name) => {
    for (const configuration of everyConfiguration) {
      const [first, second] = speeds.map(([, speed]) => runTest(name, configuration, speed));
      expect(second!.outcome).toEqual(PASSED);
      expect(second!.partition.log).toEqual(first!.partition.log);
    }
  });

  it.each(everyConfiguration)('runs twice alike: exits, timers, log and virtual time (%s)', (configuration) => {
    const tell = () => {
      const { outcome, partition } = runTest('timers::stimer_four', configuration);
      const { log, timers: delivered, instructions, virtualNs, diagnostics } = partition;
      return { outcome, log, delivered, instructions, virtualNs, diagnostics, exits: partition.ledger.snapshot() };
    };
    expect(tell()).toEqual(tell());
  });

  it.each(everyConfiguration)('no timer is delivered before its due time (%s)', (configuration) => {
    const early: string[] = [];
    const observer: PartitionOptions['observer'] = {
      exit() {},
      deadlineWritten() {},
      hostTimerArmed() {},
      hostTimerExpired() {},
      timerArmed() {},
      timerDelivered(_vp, _vtl, source, due, now) {
        if ((now.hi >>> 0) * 2 ** 32 + (now.lo >>> 0) < (due.hi >>> 0) * 2 ** 32 + (due.lo >>> 0)) early.push(`timer ${source}`);
      },
    };
    const { outcome, partition } = runTest(BUSY, configuration, { observer, ...speeds[1][1] });
    expect(outcome).toEqual(PASSED);
    expect(partition.timers.expired).toBe(TICKS);
    expect(early).toEqual([]);
  });
});

const spinning = smallGuest(machineCode(SPIN));

describe.each(everyConfiguration)('a guest that does not come to its end (%s)', (configuration) => {
  it('a guest that loops for ever ends as timeout, by virtual time', () => {
    const { outcome, partition } = runImage(spinning, 0, configuration, { timeoutNs: 50e6 });
    expect(outcome).toEqual({ kind: 'timeout', reason: 'the guest was still running after 0.05 virtual seconds' });
    expect(partition.virtualNs).toBeGreaterThanOrEqual(50e6);
    expect(partition.virtualNs).toBeLessThan(51e6);
  });

  it('a guest that halts with nothing to wake it ends as timeout too', () => {
    // cli; hlt
    const { outcome, partition } = runImage(smallGuest(machineCode('fa', 'f4', SPIN)), 0, configuration, { timeoutNs: 50e6 });
    expect(outcome.kind).toBe('timeout');
    expect(partition.instructions).toBeLessThanOrEqual(2);
  });

  it('a triple fault ends as faulted, with VP, reason and registers', () => {
    // mov eax, 0x1234; ud2, with an IDT of zeros: no gate is present, so #UD becomes #GP, a double and a triple fault.
    const { outcome } = runImage(smallGuest(machineCode('b8 34120000', '0f0b')), 0, configuration);
    expect(outcome.kind).toBe('faulted');
    expect(outcome.reason).toMatch(/^VP 0 VTL0: .*triple fault/);
    expect(outcome.reason).toContain('rip 0x200005 ');
    expect(outcome.reason).toContain('rax 0x1234 ');
    expect(outcome.reason).not.toContain('\n');
  });

  it('an ended partition stays ended', () => {
    const { outcome, partition } = runImage(spinning, 0, configuration, { timeoutNs: 1e6 });
    expect(partition.run({ timeoutNs: 10e9 })).toEqual(outcome);
  });
});

describe('which timer', () => {
  const optionsWith = (options: Partial<PartitionOptions>): PartitionOptions => ({ backing: tdxBacking(), load: tmkLoader(spinning, 0), ...options });

  it.each([
    ['auto', false, 'hardware'],
    ['auto', true, 'vmtime'],
    ['vmtime', false, 'vmtime'],
    ['hardware', false, 'hardware'],
  ] as const)('under tdx %s, with the timer disabled in the environment: %s, is %s', (guestTimer, disableLowerVtlTimerVirt, expected) => {
    expect(createPartition(optionsWith({ guestTimer, disableLowerVtlTimerVirt })).guestTimer).toBe(expected);
  });

  it('auto under snp is VmTime; hardware is refused with a reason', () => {
    expect(createPartition(optionsWith({ backing: snpBacking() })).guestTimer).toBe('vmtime');
    expect(() => createPartition(optionsWith({ backing: snpBacking(), guestTimer: 'hardware' }))).toThrow(PartitionError);
    expect(() => createPartition(optionsWith({ backing: snpBacking(), guestTimer: 'hardware' }))).toThrow('snp has no hardware guest timer');
  });
});
