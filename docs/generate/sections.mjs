/**
 * Parts of pages that are made from code, between `<!-- generated: NAME -->` and `<!-- /generated -->`, and a chart. They are committed, so that a page reads well
 * in the repository too. `node docs/generate/sections.mjs` brings them up to date; with `--check` it only says which are not, and fails.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { backingOptions, commands, help } from './command-line.mjs';
import { costTable } from './cost-figures.mjs';
import { exitReasons, jsonFields } from './json-fields.mjs';
import { hostAnswers, hostTimers, policies } from './comparisons.mjs';
import { contractClauses } from './contract-clauses.mjs';
import { benchMachine, chart, guestSpeed, keptSpeed, otherFigures, phaseInstructions } from './speed.mjs';
import { excerpt } from './source-excerpts.mjs';
import { timerLife } from './timer-life.mjs';

const makers = {
  'the commands': commands,
  'the help': help,
  'options of backings': backingOptions,
  'cost figures': costTable,
  "the benchmark's machine": benchMachine,
  'guest speed': guestSpeed,
  'instructions of the phases': phaseInstructions,
  'speed that is kept': keptSpeed,
  'other figures': otherFigures,
  'fields of JSON': jsonFields,
  'exit reasons': exitReasons,
  'timer policies, periodic': () => policies('timers', { stimer_periodic_busy: 'A guest that runs while it waits', stimer_periodic_idle: 'A guest that halts between ticks', stimer_periodic_mixed: 'A guest that does both' }),
  'timer policies, started in every tick': () => policies('deadlines', { ticks_busy: 'A guest that runs while it waits', ticks_halted: 'A guest that halts between ticks', ticks_among_exits: 'A guest with other exits between ticks' }),
  'timers of a host': hostTimers,
  'answers of a host': hostAnswers,
  'clauses of the contract': contractClauses,
  "the example's value": () => excerpt('index.ts'),
  "the example's shared part": () => excerpt('paravisor/shared.ts', 'export class'),
  "the example's runs": () => excerpt('paravisor/vp.ts', '  beforeRun('),
  "the example's CPUID": () => excerpt('paravisor/exits.ts', '  #cpuidExit', '  /** The only access'),
  "the example's entry": () => excerpt('machine/lower-vtl-run.ts', '  /** VM entry', '  #applyWindows'),
  "the example's driver path": () => excerpt('machine/machine.ts', '  enter(): PathOutcome', '  /** No timer'),
  'a busy guest under TDX, hardware timer': () => timerLife('busy', 'tdx', 'hardware'),
  'a busy guest under TDX, VmTime': () => timerLife('busy', 'tdx', 'vmtime'),
  'a halted guest under TDX, hardware timer': () => timerLife('idle', 'tdx', 'hardware'),
  'a busy guest under SNP': () => timerLife('busy', 'snp', 'vmtime'),
};

/** Files that are made as a whole. */
const files = { 'figures/speed.svg': chart };

const docs = new URL('../', import.meta.url);
const section = /(<!-- generated: (.+?) -->\n).*?(<!-- \/generated -->)/gs;

const stale = [];
for (const page of readdirSync(docs).filter((name) => name.endsWith('.md'))) {
  const text = readFileSync(new URL(page, docs), 'utf8');
  const made = text.replaceAll(section, (_, start, name, end) => {
    if (!Object.hasOwn(makers, name)) throw new Error(`docs/${page}: nothing makes "${name}": choose from ${Object.keys(makers).join('; ')}`);
    return `${start}\n${makers[name]()}\n\n${end}`;
  });
  keep(page, text, made);
}
for (const [file, make] of Object.entries(files)) {
  const url = new URL(file, docs);
  keep(file, existsSync(url) ? readFileSync(url, 'utf8') : '', make());
}

function keep(file, text, made) {
  if (made === text) return;
  stale.push(`docs/${file}`);
  if (!process.argv.includes('--check')) writeFileSync(new URL(file, docs), made);
}

if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`not up to date: ${stale.join(', ')}: run npm run docs:update, and look at what has changed`);
  process.exitCode = 1;
}
