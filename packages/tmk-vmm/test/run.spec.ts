import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitReasonNames } from '@paravisor/hcl-protocol';
import { afterAll, describe, expect, it } from 'vitest';
import backingsSchema from '../schema/backings-1.json' with { type: 'json' };
import compareSchema from '../schema/compare-1.json' with { type: 'json' };
import resultsSchema from '../schema/results-1.json' with { type: 'json' };
import testsSchema from '../schema/tests-1.json' with { type: 'json' };
import traceSchema from '../schema/trace-1.json' with { type: 'json' };
import type { CompareReport, ResultsReport, RunReport } from '../src/report-model.js';
import { schemaErrors } from './schema-check.js';
import { guest, tmkVmm } from './tool.js';

const folder = mkdtempSync(join(tmpdir(), 'tmk-vmm-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BUSY = 'timers::stimer_periodic_busy';
const IDLE = 'timers::stimer_periodic_idle';

/** `run --reporter json`, parsed; every test must have done as expected. */
async function results(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<ResultsReport> {
  const { status, stdout, stderr } = await tmkVmm(['run', ...args, '--reporter', 'json'], env);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** The exits of a run's only test. */
const exitsOf = ({ tests }: RunReport) => tests[0]!.exits.byReason;

describe('tmk-vmm run', () => {
  it('runs every bundled test under TDX and SNP as expected, in the published JSON', async () => {
    for (const name of ['basics', 'timers'] as const) {
      const report = await results([guest(name), '--backing', 'tdx,snp']);
      expect(report.runs.map(({ backing, guestTimer }) => [backing, guestTimer])).toEqual([['tdx', 'hardware'], ['snp', 'vmtime']]);
      expect(report.runs.flatMap(({ tests }) => tests.filter(({ ok }) => !ok))).toEqual([]);
      expect(schemaErrors(resultsSchema, report)).toEqual([]);
    }
  });

  it('every test has a fresh partition: its report is the same alone and behind all the others (tmk_vmm)', async () => {
    const all = (await results([guest('basics')])).runs[0]!.tests;
    expect(all.length).toBeGreaterThan(1);
    const last = all.at(-1)!;
    const alone = (await results([guest('basics'), last.name])).runs[0]!.tests;
    expect(alone.map((test) => ({ ...test, wallMs: 0 }))).toEqual([{ ...last, wallMs: 0 }]);
  });

  it('lists every exit reason there is in the schema', () => {
    expect(resultsSchema.$defs.exitReason.enum).toEqual(exitReasonNames);
    expect(compareSchema.$defs).toEqual(resultsSchema.$defs);
    expect(traceSchema.$defs.exitReason).toEqual(resultsSchema.$defs.exitReason);
  });

  it('prints the same bytes twice, wallMs aside', async () => {
    const print = async () => (await tmkVmm(['run', guest('timers'), 'timers::stimer_four', '--backing', 'all', '--reporter', 'json'])).stdout.replaceAll(/"wallMs": [\d.]+/g, '');
    expect(await print()).toBe(await print());
    const pretty = async () => (await tmkVmm(['run', guest('timers'), 'timers::stimer_four', '--backing', 'all'])).stdout;
    expect(await pretty()).toBe(await pretty());
  });

  it('names the cost model and whose latencies it shows in words too', async () => {
    const { stdout } = await tmkVmm(['run', guest('basics'), 'basics::boot', '--cost', 'vmEntry=1234']);
    expect(stdout).toContain('vmEntry=1234');
    expect(stdout).toContain('Latencies are those of a 20 MHz guest');
    expect(stdout).toContain('1 as expected, 0 not');
  });

  it('ends a guest that takes longer than its virtual time as timeout, with status 1', async () => {
    const { status, stdout } = await tmkVmm(['run', guest('timers'), BUSY, '--timeout', '0.01', '--reporter', 'json']);
    const report: ResultsReport = JSON.parse(stdout);
    expect(status).toBe(1);
    expect(report.runs[0]!.tests[0]).toMatchObject({ outcome: 'timeout', ok: false, reason: expect.stringContaining('0.01 virtual seconds') });
  });

  it('says why a test did not do as expected, in words', async () => {
    const { status, stdout } = await tmkVmm(['run', guest('timers'), BUSY, '--timeout', '0.01']);
    expect(status).toBe(1);
    expect(stdout).toContain(`${BUSY}: timeout: `);
    expect(stdout).toContain('0 as expected, 1 not');
  });

  it('turns auto into VmTime under OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT, as OpenHCL does', async () => {
    const report = await results([guest('basics'), 'basics::boot'], { OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT: '1' });
    expect(report.runs[0]).toMatchObject({ backing: 'tdx', guestTimer: 'vmtime', usesHardwareTimer: false });
  });

  it('writes report and trace to files and leaves stdout empty', async () => {
    const [output, trace] = [join(folder, 'report.json'), join(folder, 'trace.jsonl')];
    const { status, stdout } = await tmkVmm(['run', guest('timers'), 'timers::stimer_oneshot_direct', '--reporter', 'json', '--output', output, '--trace', trace]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    const report: ResultsReport = JSON.parse(readFileSync(output, 'utf8'));
    const events = readFileSync(trace, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
    expect(events.flatMap((event) => schemaErrors(traceSchema, event))).toEqual([]);
    const { exits, timers } = report.runs[0]!.tests[0]!;
    const count = (event: string, destination?: string) => events.filter((each) => each.event === event && each.destination === destination).length;
    expect(events[0]).toEqual({ event: 'test', backing: 'tdx', test: 'timers::stimer_oneshot_direct' });
    expect([count('exit', 'paravisor'), count('exit', 'user'), count('exit', 'hypervisor')]).toEqual([exits.paravisor, exits.user, exits.hypervisor]);
    expect([count('timer_armed'), count('timer_delivered')]).toEqual([timers.armed, timers.expired]);
    expect(count('deadline_written')).toBeGreaterThan(0);
  });
});

describe('what a tick costs (openvmm PR 2483)', () => {
  it.each([[[]], [['--ips', '7000003', '--tsc-hz', '2100000123']]])('nothing at the hypervisor while a TDX guest runs on the hardware timer, an arm and an expiry elsewhere %j', async (speed) => {
    const { stdout, status } = await tmkVmm(['compare', guest('timers'), BUSY, '--json', ...speed]);
    expect(status).toBe(0);
    const report: CompareReport = JSON.parse(stdout);
    expect(schemaErrors(compareSchema, report)).toEqual([]);
    expect(report.agreement).toEqual({ same: true, differences: [] });
    const [hardware, ...vmTime] = report.runs;
    expect(hardware).toMatchObject({ backing: 'tdx', guestTimer: 'hardware' });
    expect(exitsOf(hardware!).hypervisor).toMatchObject({ timer_arm: 0, timer_expiry: 0 });
    expect(Math.abs(exitsOf(hardware!).paravisor.timer_expired! - 1000)).toBeLessThanOrEqual(2);
    expect([...new Set(vmTime.map(({ backing }) => backing))]).toEqual(['tdx', 'snp']);
    expect(new Set(report.runs.map(({ backing, guestTimer, options }) => JSON.stringify([backing, guestTimer, options])))).toHaveProperty('size', report.runs.length);
    for (const run of vmTime) {
      for (const reason of ['timer_arm', 'timer_expiry'] as const) {
        expect(exitsOf(run).hypervisor[reason]).toBeGreaterThanOrEqual(1000);
        expect(exitsOf(run).hypervisor[reason]).toBeLessThanOrEqual(3000);
      }
    }
  });

  it('the host must still wake a halted TDX guest (mshv_vtl PR 107)', async () => {
    const { runs } = await results([guest('timers'), IDLE, '--guest-timer', 'hardware']);
    expect(exitsOf(runs[0]!).hypervisor.halt).toBeGreaterThan(0);
    expect(exitsOf(runs[0]!).hypervisor.timer_arm).toBeGreaterThan(0);
  });
});

describe('tmk-vmm compare', () => {
  it('prints one table with a row for every backing, timer and variant, and VMPL switches in a column of their own', async () => {
    const { status, stdout } = await tmkVmm(['compare', guest('timers'), 'timers::stimer_oneshot_*']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^test +backing, timer .* VMPL switch +p50 +p99 +max$/m);
    expect(stdout.match(/tdx, hardware timer +passed/g)).toHaveLength(2);
    for (const variant of ['rearm=off', 'rearm=on']) expect(stdout.match(new RegExp(`snp, VmTime, (?:.*, )?${variant}(?:, .*)? +passed`, 'g'))?.length).toBeGreaterThanOrEqual(2);
    expect(stdout).toContain('To arm and fire its timer a tick takes the hypervisor');
    expect(stdout).toMatch(/the same outcome and wrote the same log in all \d+ runs/);
  });

  it('a setting counts for every variant, and variants it makes alike run once', async () => {
    const { stdout } = await tmkVmm(['compare', guest('timers'), 'timers::stimer_rearm_later', '--backing', 'snp', '--set', 'snp.rearm=off', '--json']);
    const { runs }: CompareReport = JSON.parse(stdout);
    expect(runs.map(({ options }) => options['rearm'])).not.toContain('on');
    expect(new Set(runs.map(({ options }) => JSON.stringify(options))).size).toBe(runs.length);
  });
});

describe('what --set reaches beside backings', () => {
  it('the host and the partition take settings, and a run tells which it had', async () => {
    const { runs } = await results([guest('timers'), 'timers::stimer_oneshot_direct', '--backing', 'snp', '--set', 'host.timer=repeat', '--set', 'partition.guestVsm=off']);
    expect(runs[0]!.options).toEqual({ rearm: 'on', kernelStimer0: 'on', 'host.timer': 'repeat', 'partition.guestVsm': 'off' });
  });

  it('a host that drops expiries leaves a running guest with the hardware timer alone, and takes the ticks of one with VmTime', async () => {
    const args = ['compare', guest('timers'), BUSY, '--backing', 'tdx', '--set', 'host.timer=drop', '--timeout', '3', '--json'];
    const { status, stdout } = await tmkVmm(args);
    const { runs, agreement }: CompareReport = JSON.parse(stdout);
    expect(runs.map(({ guestTimer, tests: [test] }) => [guestTimer, test!.outcome])).toEqual([['hardware', 'passed'], ['vmtime', 'timeout']]);
    expect({ status, same: agreement.same }).toEqual({ status: 1, same: false });
  });

  it('a setting of a backing that does not run is no mistake', async () => {
    expect((await results([guest('basics'), 'basics::boot', '--set', 'snp.rearm=off'])).runs[0]!.backing).toBe('tdx');
  });
});

describe('tmk-vmm list and backings', () => {
  it('list names the tests, one a line or as JSON', async () => {
    const { stdout } = await tmkVmm(['list', guest('basics')]);
    expect(stdout.split('\n')).toContain('basics::expected_failure (expected failure)');
    const listed = JSON.parse((await tmkVmm(['list', guest('basics'), '--json'])).stdout);
    expect(schemaErrors(testsSchema, listed)).toEqual([]);
    expect(listed.tests).toContainEqual({ name: 'basics::boot', expectedFailure: false });
  });

  it('backings tells what is registered', async () => {
    const report = JSON.parse((await tmkVmm(['backings', '--json'])).stdout);
    const { backings } = report;
    expect(schemaErrors(backingsSchema, report)).toEqual([]);
    expect(backings.map((backing: { name: string; usesHardwareTimer: boolean }) => [backing.name, backing.usesHardwareTimer])).toEqual([['tdx', true], ['snp', false]]);
    expect(backings.find(({ name }: { name: string }) => name === 'snp').variants).toContainEqual(expect.objectContaining({ rearm: 'off' }));
    expect((await tmkVmm(['backings'])).stdout).toContain('--set tdx.timerCapability=supported|absent|failed');
  });
});
