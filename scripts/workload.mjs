/**
 * The workload guest on one engine, in a process of its own: node scripts/workload.mjs [--engine NAME] [--rounds N] [PHASE…] … Prints million instructions a
 * second of each phase and round, or with `--json` one object. Run after a build.
 */
import { parseArgs } from 'node:util';
import { setV8Flags } from '../packages/tmk-vmm/bin/v8-flags.js';
import { inPartition, onProcessor } from './bench/own-engines.mjs';
import { inQemu, inV86, natively } from './bench/peers.mjs';

setV8Flags();

const engines = { partition: inPartition, processor: onProcessor, v86: inV86, qemu: inQemu, native: natively };

const { values, positionals: phases } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'partition' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    // Of `partition` and `processor`.
    bits: { type: 'string', default: '64' },
    cpu: { type: 'string' },
    // Of `partition`.
    backing: { type: 'string', default: 'tdx' },
    'guest-timer': { type: 'string', default: 'auto' },
    ips: { type: 'string' },
    ticks: { type: 'boolean', default: false },
    // Of `processor`: it stops after every so many instructions.
    slice: { type: 'string', default: String(2 ** 30) },
    // Of `qemu`.
    icount: { type: 'boolean', default: false },
  },
});

const { engine, rounds, json, 'guest-timer': guestTimer, ips, slice, ...others } = values;
const result = await engines[engine]({
  ...others,
  phases,
  commandLine: [`rounds=${rounds}`, ...phases].join(' '),
  rounds: Number(rounds),
  guestTimer,
  ips: ips === undefined ? undefined : Number(ips),
  slice: Number(slice),
});

const text = ({ seconds, instructions }) => (instructions === null ? `${(seconds * 1000).toFixed(1)} ms` : (instructions / seconds / 1e6).toFixed(0));

if (json) {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
} else {
  for (const [name, { checksum, rounds: each }] of Object.entries(result.phases)) {
    const counted = each[0].instructions === null ? 'time' : `${each[0].instructions} instructions, MIPS`;
    console.log(`${name.padEnd(14)} ${checksum} ${counted} by round: ${each.map(text).join(' ')}`);
  }
  process.exit();
}
