/** Help, made from the table of commands. */
import { commandSpecs } from './commands.js';
import type { CommandSpec, OptionGroup, OptionSpec } from './commands.js';

const PROGRAM = 'tmk-vmm';

type Row = readonly [left: string, right: string];

const general: readonly Row[] = [
  ['-h, --help', 'Show this text'],
  ['-v, --version', 'Show the version'],
];

const statuses: readonly Row[] = [
  ['0', 'everything as expected'],
  ['1', 'a test did not do as expected, or compare found that the guest could tell the runs apart'],
  ['2', 'usage or unreadable input: one line on stderr says what, where, and what to do'],
  ['3', 'the model itself broke: tmk-vmm-fault.json has version, seed and the last events'],
];

const environment: readonly Row[] = [
  ['NO_COLOR=1', 'no colours, whatever stdout is'],
  ['FORCE_COLOR=1', 'colours, whatever stdout is; 0 for none'],
  ['OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT=1', '--guest-timer auto means vmtime, as in OpenHCL'],
];

/** What `tmk-vmm --help` prints. */
export function programHelp(): string {
  return page([
    `Runs x86-64 test microkernels under confidential-VM backings and counts every exit.`,
    section('Usage', [[`${PROGRAM} <command> [options]`, '']]),
    section('Commands', commandSpecs.map((spec) => [usage(spec), spec.description])),
    section('General', general),
    section('Examples', [
      [`${PROGRAM} run guest.elf`, 'every test of a guest under TDX'],
      [`${PROGRAM} compare guest.elf`, 'the same tests under every backing and timer'],
      [`${PROGRAM} run --help`, 'all about one command'],
    ]),
    section('Environment', environment),
    section('Exit status', statuses),
  ]);
}

/** What `tmk-vmm <command> --help` prints. */
export function commandHelp(spec: CommandSpec): string {
  const groups = [...new Set(spec.options.map(({ group }) => group))];
  return page([
    `${spec.description}.`,
    section('Usage', [[`${PROGRAM} ${usage(spec)}${spec.options.length > 0 ? ' [options]' : ''}`, '']]),
    section('Arguments', spec.arguments.map(({ name, description }) => [name, description])),
    ...groups.map((group) => section(group, optionRows(spec, group))),
    section('General', general),
    section('Examples', spec.examples.map(([args, what]) => [`${PROGRAM} ${spec.name} ${args}`.trimEnd(), what])),
    section('Environment', spec.runsTests ? environment : environment.slice(0, 2)),
    section('Exit status', spec.statuses ?? statuses.filter(([status]) => spec.runsTests || status === '0' || status === '2')),
  ]);
}

/** A command with its arguments, as in `run <guest> [...tests]`. */
export function usage(spec: CommandSpec): string {
  return [spec.name, ...spec.arguments.map(({ name }) => name)].join(' ');
}

function optionRows(spec: CommandSpec, group: OptionGroup): Row[] {
  return spec.options.filter((option) => option.group === group).map((option) => [flag(option), explained(option)]);
}

function flag({ name, value }: OptionSpec): string {
  return value === undefined ? `--${name}` : `--${name} <${value}>`;
}

function explained({ description, repeatable, default: fallback }: OptionSpec): string {
  const notes = [...(repeatable ? ['repeatable'] : []), ...(fallback === undefined ? [] : [`default ${fallback}`])];
  return notes.length > 0 ? `${description} (${notes.join(', ')})` : description;
}

/** Longer left sides stand on a line of their own. */
const WIDEST = 32;

function section(title: string, rows: readonly Row[]): string {
  const width = Math.max(0, ...rows.map(([left]) => left.length).filter((length) => length <= WIDEST));
  const lines = rows.map(([left, right]) => {
    if (right === '') return `  ${left}`;
    return left.length > WIDEST ? `  ${left}\n      ${right}` : `  ${left.padEnd(width)}  ${right}`;
  });
  return rows.length === 0 ? '' : [`${title}:`, ...lines].join('\n');
}

const page = (sections: readonly string[]): string => `${sections.filter((text) => text !== '').join('\n\n')}\n`;
