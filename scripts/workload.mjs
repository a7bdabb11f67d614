/**
 * The workload guest on one engine, in this process: node scripts/workload.mjs [--engine partition|processor] … Prints million instructions a second of each
 * phase and round, or with `--json` one object. Run after a build.
 */
import { parseArgs } from 'node:util';
import { inPartition, onProcessor } from './bench/engine-paravisor.mjs';

const { values, positionals: phases } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'partition' },
    bits: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    cpu: { type: 'string' },
    backing: { type: 'string', default: 'tdx' },
    'guest-timer': { type: 'string', default: 'auto' },
    ips: { type: 'string' },
    ticks: { type: 'boolean', default: false },
    slice: { type: 'string', default: String(2 ** 30) },
  },
});

const engines = { partition: inPartition, processor: onProcessor };

const result = await engines[values.engine]({
  bits: values.bits,
  commandLine: [`rounds=${values.rounds}`, ...phases].join(' '),
  cpu: values.cpu,
  backing: values.backing,
  guestTimer: values['guest-timer'],
  ips: values.ips === undefined ? undefined : Number(values.ips),
  ticks: values.ticks,
  slice: Number(values.slice),
});

if (values.json) {
  console.log(JSON.stringify(result));
} else {
  for (const [name, { checksum, rounds }] of Object.entries(result.phases)) {
    console.log(`${name.padEnd(14)} ${checksum} ${rounds[0].instructions} instructions; MIPS by round: ${rounds.map(({ seconds, instructions }) => (instructions / seconds / 1e6).toFixed(0)).join(' ')}`);
  }
}
