/**
 * `npm run bench`: speed, start-up, exits a second, the timer path and memory, each with its spread. Every figure is taken several times, each time in a
 * fresh process, and the rounds are interleaved: whatever else the machine does meanwhile falls on all of them alike. `--json` prints one object (its
 * schema: packages/tmk-vmm/schema/bench-1.json), `--runs N` changes the number of rounds, `--only NAME` (repeatable) takes some measures alone. Exit
 * status 2 for anything else.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { prepare, root } from './workspace.mjs';

const DEFAULT_RUNS = 5;

/** Runs a file with this Node from the top folder; its stdout. Ends the process when it fails. */
function node(...args) {
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status === 0) return stdout;
  console.error(`bench: ${args.join(' ')} ended with ${status}`);
  process.exit(1);
}

const measured = (...args) => Number(node('scripts/bench-measure.mjs', ...args));

function startUp() {
  const began = performance.now();
  node('packages/tmk-vmm/bin/tmk-vmm.js', 'run', 'packages/tmk-guests/elf/basics.elf', 'basics::boot');
  return performance.now() - began;
}

function idleMinute(configuration) {
  const [backing, timer] = configuration.split(', ');
  const began = performance.now();
  node('packages/tmk-vmm/bin/tmk-vmm.js', 'run', 'packages/tmk-guests/elf/long.elf', 'long::idle_minute', '--timeout', '70', '--backing', backing, '--guest-timer', timer === 'VmTime' ? 'vmtime' : 'hardware');
  return performance.now() - began;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const configurations = ['tdx, hardware timer', 'tdx, VmTime', 'snp, VmTime'];
const everyMeasure = [
  // The first rounds of the interpreter's loop are those in which V8 compiles it.
  { name: 'interpreter_mips', of: 'guest instructions retired', unit: 'million/s', better: 'higher', take: () => median(JSON.parse(node('packages/x86-cpu/bench/interpreter.mjs', '--json')).slice(2)) },
  { name: 'start_up', of: 'tmk-vmm run of basics::boot, process start to end', unit: 'ms', better: 'lower', take: startUp },
  ...configurations.map((configuration) => ({ name: 'exits_per_second', configuration, of: 'exits to user mode of a guest that does nothing else', unit: '1/s', better: 'higher', take: () => measured('exits', configuration) })),
  ...configurations.map((configuration) => ({ name: 'timer_tick', configuration, of: 'a tick of a halting 1000 Hz guest, armed to delivered', unit: 'ns', better: 'lower', take: () => measured('tick', configuration) })),
  ...configurations.map((configuration) => ({ name: 'idle_minute', configuration, of: 'tmk-vmm run of long::idle_minute, process start to end', unit: 'ms', better: 'lower', take: () => idleMinute(configuration) })),
  { name: 'tdx_deadline_service', of: 'clear, update and end of the TSC deadline service', unit: 'ns', better: 'lower', take: () => measured('deadline') },
  { name: 'memory', of: 'largest resident set of tmk-vmm run of basics::boot', unit: 'MiB', better: 'lower', take: () => measured('memory') },
];

/** Every one of `measures` once a round, `runs` rounds. */
function takeAll(measures, runs) {
  const values = measures.map(() => []);
  for (let round = 1; round <= runs; round++) {
    for (const [index, { take }] of measures.entries()) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2Kround ${round} of ${runs}: ${measures[index].name}`);
      values[index].push(take());
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  return values;
}

function report(measures, runs) {
  const { version } = JSON.parse(readFileSync(join(root, 'packages/tmk-vmm/package.json'), 'utf8'));
  const values = takeAll(measures, runs);
  return {
    schema: 'bench@1',
    version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? null,
    runs,
    measures: measures.map(({ name, configuration = null, of, unit, better }, index) => ({
      name,
      configuration,
      of,
      unit,
      better,
      min: Math.min(...values[index]),
      median: median(values[index]),
      max: Math.max(...values[index]),
      values: values[index],
    })),
    // Other emulators over the same guest code; null where none was measured.
    ratios: { v86: null, qemu: null, qemuIcount: null },
  };
}

const short = (value) => (value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))));

async function table({ measures: rows, runs, node: nodeVersion, cpu }) {
  const { plainTable } = await import('../packages/tmk-vmm/dist/reporters/table.js');
  const cells = rows.map(({ name, configuration, of, unit, min, median: middle, max }) => [configuration === null ? name : `${name}: ${configuration}`, of, short(min), short(middle), short(max), unit]);
  const rounds = runs === 1 ? 'One run' : `${runs} interleaved runs`;
  return `${plainTable(['measure', 'of', 'min', 'median', 'max', 'unit'], cells, 2)}\n\n${rounds}, every figure from a process of its own; Node ${nodeVersion}, ${cpu ?? 'processor unknown'}\n`;
}

/** What was asked for, or null after one line on what is wrong with it. */
function asked() {
  try {
    const { values } = parseArgs({
      options: { json: { type: 'boolean', default: false }, runs: { type: 'string', default: String(DEFAULT_RUNS) }, only: { type: 'string', multiple: true, default: [] } },
    });
    if (!/^[1-9]\d{0,2}$/.test(values.runs)) throw new Error(`--runs "${values.runs}" is not a number from 1 to 999`);
    const names = new Set(everyMeasure.map(({ name }) => name));
    const unknown = values.only.find((name) => !names.has(name));
    if (unknown !== undefined) throw new Error(`--only "${unknown}" is no measure (${[...names].join(', ')})`);
    return { json: values.json, runs: Number(values.runs), measures: everyMeasure.filter(({ name }) => values.only.length === 0 || values.only.includes(name)) };
  } catch (error) {
    console.error(`bench: ${error.message.split('\n', 1)[0]}: npm run -s bench -- [--json] [--runs N] [--only NAME]`);
    return null;
  }
}

const wanted = asked();
if (wanted === null) {
  process.exitCode = 2;
} else {
  prepare();
  const results = report(wanted.measures, wanted.runs);
  process.stdout.write(wanted.json ? `${JSON.stringify(results, null, 2)}\n` : await table(results));
}
