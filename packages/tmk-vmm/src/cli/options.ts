/** Options with their meaning: from text to numbers and names, each checked. */
import { UsageError } from '../errors.js';
import type { GivenOptions } from './argv.js';
import { cpuChoices, guestTimerChoices, reporterNames } from './commands.js';
import type { CpuChoice, GuestTimerChoice, ReporterName } from './commands.js';
import { suggestion } from './suggest.js';

/** What shapes the machine; the same for every run of one call. */
export interface MachineOptions {
  readonly seed: number;
  readonly tscHz: number;
  readonly ips: number;
  readonly vps: number;
  readonly memoryMiB: number;
  readonly cpu: CpuChoice;
  readonly timeoutNs: number;
  /** Replaced figures of the cost model, ticks by name. */
  readonly costs: Readonly<Record<string, number>>;
}

/** One `--set <backing>.<option>=<value>`. */
export interface BackingSetting {
  readonly backing: string;
  readonly option: string;
  readonly value: string;
}

/** What `run` and `compare` share. */
export interface RunOptions {
  /** Names as given; `all` stands for every backing. */
  readonly backings: readonly string[];
  readonly guestTimer: GuestTimerChoice;
  readonly settings: readonly BackingSetting[];
  readonly machine: MachineOptions;
  readonly reporter: ReporterName;
  readonly output: string | undefined;
  readonly trace: string | undefined;
  readonly plugins: readonly string[];
}

/** What differs between commands. */
export interface MachineDefaults {
  readonly memoryMiB: number;
  /** Virtual seconds. */
  readonly timeout: string;
}

const testDefaults: MachineDefaults = { memoryMiB: 4, timeout: '10' };
const NS_PER_S = 1e9;

/** Everything `run` and `compare` understand. Throws `UsageError`. */
export function runOptions(given: GivenOptions, defaultBacking: string, defaults: MachineDefaults = testDefaults): RunOptions {
  return {
    backings: all(given, 'backing').length > 0 ? all(given, 'backing').flatMap(splitNames) : [defaultBacking],
    guestTimer: choice(given, 'guest-timer', guestTimerChoices, 'auto'),
    settings: all(given, 'set').map(parseSetting),
    machine: machineOptions(given, defaults),
    reporter: given.has('json') ? 'json' : choice(given, 'reporter', reporterNames, 'pretty'),
    output: one(given, 'output'),
    trace: one(given, 'trace'),
    plugins: all(given, 'plugin'),
  };
}

/** Whole numbers here; `createPartition` knows what range each may have. */
function machineOptions(given: GivenOptions, defaults: MachineDefaults): MachineOptions {
  return {
    seed: integer(given, 'seed', 0),
    tscHz: integer(given, 'tsc-hz', 2e9),
    ips: integer(given, 'ips', 2e7),
    vps: integer(given, 'vps', 1),
    memoryMiB: integer(given, 'memory', defaults.memoryMiB),
    cpu: choice(given, 'cpu', cpuChoices, 'auto'),
    timeoutNs: timeout(given, integer(given, 'tsc-hz', 2e9), defaults.timeout),
    costs: Object.fromEntries(all(given, 'cost').map(parseCost)),
  };
}

const one = (given: GivenOptions, name: string): string | undefined => given.get(name)?.[0];
const all = (given: GivenOptions, name: string): readonly string[] => given.get(name) ?? [];

function splitNames(list: string): string[] {
  const names = list.split(',').map((name) => name.trim());
  if (names.includes('')) throw new UsageError(`--backing "${list}" has an empty name in it: separate names by one comma`);
  return names;
}

function choice<T extends string>(given: GivenOptions, name: string, choices: readonly T[], fallback: T): T {
  const text = one(given, name);
  if (text === undefined) return fallback;
  const chosen = choices.find((candidate) => candidate === text);
  if (chosen === undefined) throw new UsageError(`--${name} "${text}" is unknown${suggestion(text, choices)}`);
  return chosen;
}

/** A number of decimal digits that fits one exactly, else NaN. */
function parseDecimal(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

function integer(given: GivenOptions, name: string, fallback: number): number {
  const text = one(given, name);
  if (text === undefined) return fallback;
  const value = parseDecimal(text);
  if (Number.isNaN(value)) throw new UsageError(`--${name} "${text}" is not a whole number: give decimal digits, as in --${name} ${fallback}`);
  return value;
}

function timeout(given: GivenOptions, tscHz: number, fallback: string): number {
  const text = one(given, 'timeout') ?? fallback;
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  const ns = Math.round(seconds * NS_PER_S);
  if (!(ns >= 1)) throw new UsageError(`--timeout "${text}" is not a number of virtual seconds above 0: give it as in --timeout 2.5`);
  if (Math.max(ns, seconds * tscHz) > Number.MAX_SAFE_INTEGER) throw new UsageError(`--timeout ${text} is longer than the virtual clock can count: give fewer seconds, or a lower --tsc-hz`);
  return ns;
}

function parseSetting(text: string): BackingSetting {
  const parts = /^([^.=]+)\.([^=]+)=(.+)$/.exec(text);
  if (!parts) throw new UsageError(`--set "${text}" is not of the form <backing>.<option>=<value>`);
  return { backing: parts[1]!, option: parts[2]!, value: parts[3]! };
}

function parseCost(text: string): [name: string, ticks: number] {
  const parts = /^([^=]+)=(.+)$/.exec(text);
  if (!parts) throw new UsageError(`--cost "${text}" is not of the form <name>=<ticks>`);
  const ticks = parseDecimal(parts[2]!);
  if (Number.isNaN(ticks)) throw new UsageError(`--cost "${text}": "${parts[2]}" is not a whole number of ticks`);
  return [parts[1]!, ticks];
}
