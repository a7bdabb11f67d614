/**
 * `npm run bench`: guest speed beside other emulators and the host's own processor; exits a second, the timer path, start-up and memory. Every figure is taken
 * several times, each time in a fresh process, and the rounds are interleaved: whatever else the machine does meanwhile falls on all of them alike. `--json`
 * prints one object (its schema: packages/tmk-vmm/schema/bench-1.json), `--runs N` changes the number of rounds, `--only NAME` (repeatable) takes some measures
 * alone. Exit status 2 for anything else.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { speedMeasures, speedReport } from './bench/guest-speed.mjs';
import { otherMeasures } from './bench/measures.mjs';
import { spread } from './bench/statistics.mjs';
import { tables } from './bench/tables.mjs';
import { prepare, root } from './workspace.mjs';

const DEFAULT_RUNS = 5;
/** The name under which `--only` knows all engines together. */
const GUEST_SPEED = 'guest_mips';

/** Runs a file with this Node from the top folder; its stdout. Ends the process when it fails. */
function node(...args) {
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status === 0) return stdout;
  console.error(`bench: ${args.join(' ')} ended with ${status}`);
  process.exit(1);
}

/** Every one of `measures` once a round, `runs` rounds: the values of each. */
function takeAll(measures, runs) {
  const values = measures.map(() => []);
  for (let round = 1; round <= runs; round++) {
    for (const [index, { name, take }] of measures.entries()) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2Kround ${round} of ${runs}: ${name}`);
      values[index].push(take());
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  return values;
}

function report({ runs, wants }) {
  const measures = otherMeasures(node).filter(({ name }) => wants(name));
  const speeds = wants(GUEST_SPEED) ? speedMeasures(node) : [];
  const { version } = JSON.parse(readFileSync(join(root, 'packages/tmk-vmm/package.json'), 'utf8'));
  const values = takeAll([...speeds, ...measures], runs);
  const guestSpeed =
    speeds.length === 0
      ? { phases: [], engines: [], ratios: { v86: null, qemu: null, qemuIcount: null }, kept: { slices10007: null, slices1009: null, busyTicks: null } }
      : speedReport(node, Object.fromEntries(speeds.map(({ name }, index) => [name, values[index]])));
  return {
    schema: 'bench@1',
    version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? null,
    runs,
    ...guestSpeed,
    measures: measures.map(({ name, configuration = null, of, unit, better }, index) => ({ name, configuration, of, unit, better, ...spread(values[speeds.length + index]) })),
  };
}

/** What was asked for, or null after one line on what is wrong with it. */
function asked() {
  try {
    const { values } = parseArgs({
      options: { json: { type: 'boolean', default: false }, runs: { type: 'string', default: String(DEFAULT_RUNS) }, only: { type: 'string', multiple: true, default: [] } },
    });
    if (!/^[1-9]\d{0,2}$/.test(values.runs)) throw new Error(`--runs "${values.runs}" is not a number from 1 to 999`);
    const names = new Set([GUEST_SPEED, ...otherMeasures(node).map(({ name }) => name)]);
    const unknown = values.only.find((name) => !names.has(name));
    if (unknown !== undefined) throw new Error(`--only "${unknown}" is no measure (${[...names].join(', ')})`);
    return { json: values.json, runs: Number(values.runs), wants: (name) => values.only.length === 0 || values.only.includes(name) };
  } catch (error) {
    console.error(`bench: ${error.message.split('\n', 1)[0]}: npm run -s bench -- [--json] [--runs N] [--only NAME]`);
    return null;
  }
}

const wanted = asked();
if (wanted === null) {
  process.exitCode = 2;
} else {
  // First: v86 is one of the packages that this installs.
  prepare();
  const results = report(wanted);
  process.stdout.write(wanted.json ? `${JSON.stringify(results, null, 2)}\n` : await tables(results));
}
