/** The command line as data: commands and options, for parsing, for help and for shell completion. */
import type { TestDeviceName } from '@paravisor/partition';

/** What `--reporter` takes. */
export const reporterNames = ['pretty', 'json', 'junit', 'tap'] as const;
export type ReporterName = (typeof reporterNames)[number];

/** What `--reporter` of `boot` takes. */
export const bootReporterNames = ['pretty', 'json'] as const satisfies readonly ReporterName[];

/** What `--device` takes. */
export const deviceNames = ['isa-debug-exit', 'pc-testdev', 'hyperv-testdev'] as const satisfies readonly TestDeviceName[];

/** What `--guest-timer` takes; `auto` takes what the backing can. */
export const guestTimerChoices = ['auto', 'hardware', 'vmtime'] as const;
export type GuestTimerChoice = (typeof guestTimerChoices)[number];

/** What `--cpu` takes: how guest code is executed. */
export const cpuChoices = ['auto', 'interpreter', 'translator'] as const;
export type CpuChoice = (typeof cpuChoices)[number];

/** What `completion` takes. */
export const shellNames = ['bash', 'zsh', 'fish'] as const;
export type ShellName = (typeof shellNames)[number];

/** What an argument or an option's value is, so that a shell can complete it. */
export type ValueKind = 'file' | 'test' | 'backing' | 'setting' | 'cost' | readonly string[];

/** Under which heading help shows an option. */
export type OptionGroup = 'What runs' | 'Report' | 'Machine' | 'General';

/** One option. `value` names what follows it; without one it is a switch. */
export interface OptionSpec {
  readonly name: string;
  readonly value?: string;
  readonly kind?: ValueKind;
  readonly group: OptionGroup;
  readonly description: string;
  /** Shown in help; what it means is in `options.ts`. */
  readonly default?: string;
  readonly repeatable?: boolean;
}

/** One argument. */
export interface ArgumentSpec {
  /** In cac's notation: `<guest>`, `[...tests]`. */
  readonly name: string;
  readonly kind: ValueKind;
  readonly description: string;
}

/** One command. */
export interface CommandSpec {
  readonly name: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly description: string;
  readonly options: readonly OptionSpec[];
  /** Arguments after the command's name, and what they do. */
  readonly examples: readonly (readonly [args: string, what: string])[];
  /** True when a test of the guest decides the exit status. */
  readonly runsTests: boolean;
  /** Exit statuses, when they are the command's own, and what they mean. */
  readonly statuses?: readonly (readonly [status: string, what: string])[];
}

const json: OptionSpec = { name: 'json', group: 'Report', description: 'One JSON object instead of text' };
const plugin: OptionSpec = { name: 'plugin', value: 'package', kind: 'file', group: 'What runs', description: 'Load more backings from a package, a file or a folder', repeatable: true };
const set: OptionSpec = { name: 'set', value: 'backing.option=value', kind: 'setting', group: 'What runs', description: 'Set one option (tmk-vmm backings lists all)', repeatable: true };
const guest: ArgumentSpec = { name: '<guest>', kind: 'file', description: 'ELF file of a test microkernel' };
const tests: ArgumentSpec = { name: '[...tests]', kind: 'test', description: 'Names or globs of tests; all when none is given' };

/** What shapes the machine and the runs on it. */
const machine: readonly OptionSpec[] = [
  { name: 'memory', value: 'MiB', group: 'Machine', description: 'Guest RAM', default: '4' },
  { name: 'vps', value: 'n', group: 'Machine', description: 'Virtual processors, 1 to 64', default: '1' },
  { name: 'tsc-hz', value: 'n', group: 'Machine', description: 'Frequency of the virtual TSC', default: '2000000000' },
  { name: 'ips', value: 'n', group: 'Machine', description: 'Guest instructions a virtual second', default: '20000000' },
  { name: 'cpu', value: 'executor', kind: cpuChoices, group: 'Machine', description: 'auto, interpreter or translator; results are the same', default: 'auto' },
  { name: 'cost', value: 'name=ticks', kind: 'cost', group: 'Machine', description: 'Replace one figure of the cost model', repeatable: true },
  { name: 'seed', value: 'n', group: 'Machine', description: 'Seed of whatever the model leaves open', default: '0' },
  { name: 'timeout', value: 'seconds', group: 'Machine', description: 'Virtual seconds a test may take', default: '10' },
];
const outputs: readonly OptionSpec[] = [
  { name: 'output', value: 'file', kind: 'file', group: 'Report', description: 'Write the report to a file instead of stdout' },
  { name: 'trace', value: 'file', kind: 'file', group: 'Report', description: 'Write one JSON line for every timer event and exit' },
];

const oneAtATime: readonly string[] = ['memory', 'timeout'];
/** The machine of `boot`: other defaults. */
const bootMachine: readonly OptionSpec[] = [
  { name: 'memory', value: 'MiB', group: 'Machine', description: 'Guest RAM', default: '128' },
  ...machine.filter(({ name }) => !oneAtATime.includes(name)),
  { name: 'timeout', value: 'seconds', group: 'Machine', description: 'Virtual seconds the kernel may take', default: '60' },
];

/** Every command, in the order of help. */
export const commandSpecs = [
  {
    name: 'run',
    arguments: [guest, tests],
    description: 'Run the tests of a test microkernel',
    options: [
      { name: 'backing', value: 'name', kind: 'backing', group: 'What runs', description: 'Backings, comma-separated, or all', default: 'tdx', repeatable: true },
      { name: 'guest-timer', value: 'timer', kind: guestTimerChoices, group: 'What runs', description: 'auto, hardware or vmtime', default: 'auto' },
      set,
      plugin,
      { name: 'reporter', value: 'name', kind: reporterNames, group: 'Report', description: 'pretty, json, junit or tap', default: 'pretty' },
      ...outputs,
      ...machine,
    ],
    examples: [
      ['guest.elf', 'every test under TDX'],
      ["guest.elf 'timers::*' --backing tdx,snp", 'some tests under two backings'],
      ['guest.elf --vps 4 --set host.timer=drop', 'four processors, and a host that forgets timers'],
      ['guest.elf --reporter junit --output results.xml', 'a report for CI'],
      ['guest.elf timers::tick --trace trace.jsonl', 'every exit and timer event of one test'],
    ],
    runsTests: true,
  },
  {
    name: 'list',
    arguments: [guest],
    description: 'List the tests of a test microkernel',
    options: [json],
    examples: [
      ['guest.elf', 'one name a line'],
      ['guest.elf --json', 'the same for a program'],
    ],
    runsTests: false,
  },
  {
    name: 'compare',
    arguments: [guest, tests],
    description: 'Run tests under every backing, timer and variant, exits side by side',
    options: [
      { name: 'backing', value: 'name', kind: 'backing', group: 'What runs', description: 'Only these backings, comma-separated', default: 'all', repeatable: true },
      { name: 'guest-timer', value: 'timer', kind: guestTimerChoices, group: 'What runs', description: 'Only this timer: hardware or vmtime', default: 'both' },
      set,
      plugin,
      json,
      ...outputs,
      ...machine,
    ],
    examples: [
      ['guest.elf', 'what every test costs under every backing and variant'],
      ["guest.elf 'timers::*' --guest-timer vmtime", 'without the hardware timer'],
      ['guest.elf --set snp.rearm=off --cost vmExit=4000', 'another policy, another machine'],
    ],
    runsTests: true,
  },
  {
    name: 'boot',
    arguments: [{ name: '<image>', kind: 'file', description: 'A Multiboot 1 kernel' }],
    description: 'Boot a kernel, its serial port on stdout',
    options: [
      { name: 'cmdline', value: 'text', group: 'What runs', description: "The kernel's command line" },
      { name: 'initrd', value: 'files', kind: 'file', group: 'What runs', description: 'Modules, comma-separated', repeatable: true },
      { name: 'device', value: 'name', kind: deviceNames, group: 'What runs', description: 'A test device of QEMU besides isa-debug-exit', repeatable: true },
      { name: 'backing', value: 'name', kind: 'backing', group: 'What runs', description: 'Backings, comma-separated, or all', default: 'tdx', repeatable: true },
      { name: 'guest-timer', value: 'timer', kind: guestTimerChoices, group: 'What runs', description: 'auto, hardware or vmtime', default: 'auto' },
      set,
      plugin,
      { name: 'reporter', value: 'name', kind: reporterNames, group: 'Report', description: 'pretty or json', default: 'pretty' },
      ...bootMachine,
    ],
    examples: [
      ['kernel.elf', 'serial output on stdout, a summary on stderr'],
      ["kernel.elf --cmdline 'verbose' --initrd env.txt --vps 2", 'with a module and two processors'],
      ['kernel.elf --backing all --reporter json', 'under every backing, for a program'],
    ],
    runsTests: true,
    statuses: [
      ['odd', 'value × 2 + 1 for the value written to the exit port 0xf4, as QEMU does it: 1 for value 0'],
      ['2', 'usage or unreadable input: one line on stderr says what, where, and what to do'],
      ['4', 'the kernel was still running, or waited for nothing, when the time was up'],
      ['6', 'the kernel faulted'],
      ['8', 'the model itself broke: tmk-vmm-fault.json has version, seed and the last events'],
    ],
  },
  {
    name: 'backings',
    arguments: [],
    description: 'List the backings, what they can do and their options',
    options: [json, plugin],
    examples: [
      ['', 'those that come with the tool'],
      ['--plugin ./my-backing.js', 'and one of your own'],
    ],
    runsTests: false,
  },
  {
    name: 'completion',
    arguments: [{ name: '<shell>', kind: shellNames, description: 'bash, zsh or fish' }],
    description: 'Print a script that completes this command line in a shell',
    options: [],
    examples: [
      ['bash > ~/.local/share/bash-completion/completions/tmk-vmm', 'for bash'],
      ['zsh > "${fpath[1]}/_tmk-vmm"', 'for zsh'],
      ['fish > ~/.config/fish/completions/tmk-vmm.fish', 'for fish'],
    ],
    runsTests: false,
  },
] as const satisfies readonly CommandSpec[];

export type CommandName = (typeof commandSpecs)[number]['name'];
