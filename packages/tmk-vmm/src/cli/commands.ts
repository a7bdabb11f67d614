/** The command line as data: commands and options, for parsing and for help. */

/** One option. `value` names what follows it; without one it is a switch. */
export interface OptionSpec {
  readonly name: string;
  readonly value?: string;
  readonly description: string;
  /** Shown in help; what it means is in `options.ts`. */
  readonly default?: string;
  readonly repeatable?: boolean;
}

/** One command. `arguments` is in cac's notation. */
export interface CommandSpec {
  readonly name: string;
  readonly arguments: string;
  readonly description: string;
  readonly options: readonly OptionSpec[];
}

const json: OptionSpec = { name: 'json', description: 'One JSON object on stdout instead of text' };
const plugin: OptionSpec = { name: 'plugin', value: 'package', description: 'Load more backings from a package, a file or a package folder', repeatable: true };
const set: OptionSpec = { name: 'set', value: 'backing.option=value', description: 'Set an option of a backing; `tmk-vmm backings` lists them', repeatable: true };
const guestTimer: OptionSpec = { name: 'guest-timer', value: 'timer', description: 'auto, hardware or vmtime', default: 'auto' };

/** What shapes the machine and the runs on it. */
const machine: readonly OptionSpec[] = [
  { name: 'cost', value: 'name=ticks', description: 'Replace one figure of the cost model', repeatable: true },
  { name: 'vps', value: 'n', description: 'Virtual processors', default: '1' },
  { name: 'memory', value: 'MiB', description: 'Guest RAM', default: '4' },
  { name: 'tsc-hz', value: 'n', description: 'Frequency of the virtual TSC', default: '2000000000' },
  { name: 'ips', value: 'n', description: 'Guest instructions a virtual second', default: '20000000' },
  { name: 'seed', value: 'n', description: 'Seed of whatever the model leaves open', default: '0' },
  { name: 'timeout', value: 'seconds', description: 'Virtual seconds a test may take', default: '10' },
];
const outputs: readonly OptionSpec[] = [
  { name: 'output', value: 'file', description: 'Write the report to a file instead of stdout' },
  { name: 'trace', value: 'file', description: 'Write one JSON line for every timer event and exit' },
];

/** Every command, in the order of help. */
export const commandSpecs = [
  {
    name: 'run',
    arguments: '<guest> [...tests]',
    description: "Run a test microkernel's tests; none named means all, globs are welcome",
    options: [
      { name: 'backing', value: 'name', description: 'Backing to run under, repeatable or comma-separated; all for every one', default: 'tdx', repeatable: true },
      guestTimer,
      set,
      { name: 'reporter', value: 'name', description: 'pretty or json', default: 'pretty' },
      ...outputs,
      ...machine,
      plugin,
    ],
  },
  { name: 'list', arguments: '<guest>', description: 'List the tests of a test microkernel', options: [json] },
  {
    name: 'compare',
    arguments: '<guest> [...tests]',
    description: 'Run the same tests under every backing and timer, and put their exits side by side',
    options: [
      { name: 'backing', value: 'name', description: 'Only these backings, repeatable or comma-separated', default: 'all', repeatable: true },
      { ...guestTimer, description: 'Only this timer: hardware or vmtime', default: 'both' },
      set,
      json,
      ...outputs,
      ...machine,
      plugin,
    ],
  },
  { name: 'backings', arguments: '', description: 'List the backings, what they can do and their options', options: [json, plugin] },
] as const satisfies readonly CommandSpec[];

export type CommandName = (typeof commandSpecs)[number]['name'];
