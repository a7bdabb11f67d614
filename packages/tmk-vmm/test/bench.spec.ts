import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import schema from '../schema/bench-1.json' with { type: 'json' };
import { schemaErrors } from './schema-check.js';

const top = fileURLToPath(new URL('../../..', import.meta.url));

function bench(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/bench.mjs', ...args], { cwd: top, encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** Those that take no longer than their process needs to start. */
const quick = ['--only', 'start_up', '--only', 'tdx_deadline_service', '--only', 'memory'];

describe('npm run bench', () => {
  it('--json prints what its published schema has, each figure with its spread over the rounds', () => {
    const { status, stdout } = bench('--json', '--runs', '2', ...quick);
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(schemaErrors(schema, report)).toEqual([]);
    expect(report.measures.map(({ name }: { name: string }) => name)).toEqual(['start_up', 'memory', 'tdx_deadline_service']);
    for (const { min, median, max, values } of report.measures) {
      expect(values).toHaveLength(2);
      expect([min, median, max]).toEqual([Math.min(...values), (values[0] + values[1]) / 2, Math.max(...values)]);
    }
    expect(report.ratios).toEqual({ v86: null, qemu: null, qemuIcount: null });
  });

  it('prints a table, every exit rate under every backing and timer', () => {
    const { status, stdout } = bench('--runs', '1', '--only', 'exits_per_second');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^measure +of +min +median +max +unit\n/);
    expect(stdout.match(/^exits_per_second: .*1\/s$/gm)?.map((line) => /: (.*?) {2}/.exec(line)![1])).toEqual(['tdx, hardware timer', 'tdx, VmTime', 'snp, VmTime']);
  });

  it('printed the figures of docs/speed.md: they are of its schema, and the ratios follow from the medians', () => {
    const report = JSON.parse(readFileSync(`${top}docs/figures/bench.json`, 'utf8'));
    expect(schemaErrors(schema, report)).toEqual([]);
    const names: string[] = report.phases.map(({ name }: { name: string }) => name);
    const mipsOf = (wanted: string): Record<string, { median: number }> | null => report.engines.find(({ name }: { name: string }) => name === wanted).mips;
    const ratios = (over: string, under: string) => {
      const [above, below] = [mipsOf(over), mipsOf(under)];
      if (above === null || below === null) return null;
      const each = names.map((name) => above[name]!.median / below[name]!.median);
      return { geomean: expect.closeTo(each.reduce((product, ratio) => product * ratio, 1) ** (1 / each.length)), min: expect.closeTo(Math.min(...each)) };
    };
    expect(report.ratios).toEqual({ v86: ratios('paravisor', 'v86'), qemu: ratios('paravisor', 'qemu'), qemuIcount: ratios('paravisor', 'qemuIcount') });
    expect(report.kept).toEqual({ slices10007: ratios('slices10007', 'processor'), slices1009: ratios('slices1009', 'processor'), busyTicks: ratios('busyTicks', 'paravisor') });
  });

  it.each([
    [['--runs', '0'], '--runs "0"'],
    [['--only', 'speed'], '--only "speed" is no measure'],
    [['--fast'], '--fast'],
  ])('refuses %j in one line, with status 2', (args, expected) => {
    const { status, stdout, stderr } = bench(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^bench: [^\n]+\n$/);
    expect(stderr).toContain(expected);
  });
});
