/** Guests that try to break the model: each ends as packages/tmk-guests/README.md documents, under every backing and timer. */
import { readFileSync } from 'node:fs';
import { tdxBacking } from '@paravisor/backing-tdx';
import { readTmk } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { everyConfiguration, runImage } from './whole-partition.js';
import type { Configuration } from './whole-partition.js';

const guestFile = (path: string): URL => new URL(`../../tmk-guests/${path}`, import.meta.url);
const image = readTmk(readFileSync(guestFile('elf/hostile.elf')));

interface Documented {
  /** The outcome column, as written. */
  readonly outcome: string;
  readonly kind: string;
  /** How the reason begins, where the table says. */
  readonly reason: string | undefined;
}

/** The table of outcomes, by test. */
function documentedOutcomes(): Map<string, Documented> {
  const documented = new Map<string, Documented>();
  for (const line of readFileSync(guestFile('README.md'), 'utf8').split('\n')) {
    const [, names = '', , outcome = ''] = line.split('|').map((cell) => cell.trim());
    if (!names.startsWith('`hostile::')) continue;
    const kind = /^\w+/.exec(outcome)?.[0] ?? '';
    const reason = /^\w+: `([^`]+)`/.exec(outcome)?.[1];
    for (const name of names.matchAll(/`([^`]+)`/g)) documented.set(name[1]!, { outcome, kind, reason });
  }
  return documented;
}

const documented = documentedOutcomes();

/** Virtual time of tests that only the limit ends. Enough for a log to fill; little for what costs the host most. */
const limits: Readonly<Record<string, number>> = { 'hostile::log_endless': 250e6, 'hostile::command_endless': 250e6, 'hostile::code_endless': 1e6 };
const limitOf = (name: string): number => limits[name] ?? (documented.get(name)!.kind === 'timeout' ? 20e6 : 10e9);

/** The host's own time for any of them, on a busy machine: a bound, not a measurement. */
const WALL_MS = 30_000;

/** All that a run says, in plain values. */
function observe(name: string, configuration: Configuration) {
  const index = image.tests.findIndex((test) => test.name === name);
  const timeoutNs = limitOf(name);
  const start = performance.now();
  const { outcome, partition } = runImage(image, index, configuration, { timeoutNs });
  const wallMs = performance.now() - start;
  const { log, diagnostics, timers, instructions, virtualNs } = partition;
  const run = { outcome, log: [...log], diagnostics, timers, instructions, virtualNs, exits: partition.ledger.snapshot() };
  return { run, wallMs, timeoutNs };
}

/** What the reference's TDX backing does not handle, and SNP's does; and what takes an APIC that hardware virtualizes. */
const dependsOnBacking = new Set(['hostile::invd', 'hostile::msr_write_every', 'hostile::msr_write_x2apic']);

it('the table has every hostile test, and no other', () => {
  expect([...documented.keys()].toSorted()).toEqual(image.tests.map(({ name }) => name).toSorted());
});

it('a test is an expected failure exactly if it is documented to fail or fault', () => {
  for (const { name, expectedFailure } of image.tests) {
    if (dependsOnBacking.has(name)) continue;
    expect(expectedFailure, name).toBe(['failed', 'faulted'].includes(documented.get(name)!.kind));
  }
});

describe.each(image.tests.map(({ name }) => name).filter((name) => !dependsOnBacking.has(name)))('%s', (name) => {
  it('ends as documented, within its virtual time and a bounded real one, with bounded output, the same under every backing and timer', () => {
    const { kind, reason = '' } = documented.get(name)!;
    const logs: (readonly string[])[] = [];
    for (const configuration of everyConfiguration) {
      const { run, wallMs, timeoutNs } = observe(name, configuration);
      expect(run.outcome.kind, `${configuration}: ${run.outcome.reason}`).toBe(kind);
      expect((run.outcome.reason ?? '').replace(/^VP 0 VTL0: /, '').startsWith(reason), `${configuration}: ${run.outcome.reason}`).toBe(true);
      if (kind === 'passed') expect(run.log.length).toBe(1);
      // One stretch of the guest, one exit, or one instruction that costs, may reach past the limit.
      expect(run.virtualNs).toBeLessThan(timeoutNs + 1e6);
      expect(wallMs).toBeLessThan(WALL_MS);
      expect(run.log.length).toBeLessThanOrEqual(10_001);
      expect(run.diagnostics.length).toBeLessThanOrEqual(10_001 + 64);
      logs.push(run.log);
    }
    // How many lines fit into the time is the backing's own affair.
    if (kind !== 'timeout') for (const log of logs) expect(log).toEqual(logs[0]);
  });
});

it('INVD faults under TDX, whose exit the reference does not handle, and passes under SNP', () => {
  const outcomes = everyConfiguration.map((configuration) => observe('hostile::invd', configuration).run.outcome);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['faulted', 'faulted', 'passed']);
  expect(outcomes[0]!.reason).toContain('VMX exit reason 13 is not handled');
});

it.each([
  'hostile::msr_write_every',
  'hostile::msr_write_x2apic',
])('%s faults under TDX by an exit of the offloaded APIC, which the reference does not handle, and passes without the offload and under SNP', (name) => {
  for (const configuration of everyConfiguration) {
    const { outcome } = observe(name, configuration).run;
    if (configuration.startsWith('tdx')) expect(outcome).toMatchObject({ kind: 'faulted', reason: expect.stringContaining('VMX exit reason 56 is not handled') });
    else expect(outcome.kind).toBe('passed');
  }
  const index = image.tests.findIndex((test) => test.name === name);
  expect(runImage(image, index, 'tdx, hardware timer', { backing: tdxBacking({ offload: 'off' }) }).outcome.kind).toBe('passed');
});

it('a log and diagnostics without end are cut where they become too many', () => {
  const { log } = observe('hostile::log_endless', 'tdx, hardware timer').run;
  expect(log.length).toBe(10_001);
  expect(log.at(-1)).toBe('… the rest is not kept');
  const { diagnostics } = observe('hostile::command_endless', 'tdx, hardware timer').run;
  expect(diagnostics.length).toBe(10_001);
  expect(diagnostics.at(-1)).toBe('… the rest is not kept');
});

it.each(everyConfiguration)('two runs say the same, to the byte: %s', (configuration) => {
  for (const { name } of image.tests) {
    if (/every|endless/.test(name)) continue; // for time's sake
    expect(JSON.stringify(observe(name, configuration).run), name).toBe(JSON.stringify(observe(name, configuration).run));
  }
});
