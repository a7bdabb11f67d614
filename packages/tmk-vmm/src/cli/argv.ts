/** From an argument vector to a command, its arguments and its options as the text they were given as. */
import { cac } from 'cac';
import type { CAC, Command } from 'cac';
import { UsageError } from '../errors.js';
import { commandSpecs } from './commands.js';
import type { CommandName, CommandSpec, OptionSpec } from './commands.js';
import { commandHelp, programHelp, usage } from './help.js';
import { suggestion } from './suggest.js';

/** What was asked for: a command, or one of the texts. */
export type Invocation =
  | { readonly kind: 'command'; readonly command: CommandName; readonly positionals: readonly string[]; readonly options: GivenOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

/** Options by name as given: every value of a repeatable one, in order; absent when not given. */
export type GivenOptions = ReadonlyMap<string, readonly string[]>;

/**
 * cac makes numbers of values that look like one, which loses zeros and digits, and skips empty values. A value that begins with this character,
 * which no argument vector can hold, stays the text it is.
 */
const TEXT_MARK = '\0';

/** Parses the arguments after the program's name. Throws `UsageError`. */
export function parseArgv(argv: readonly string[]): Invocation {
  // `tmk-vmm help run` is `tmk-vmm run --help`.
  const asked = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const cli = declare();
  const { args, options } = cli.parse(['node', 'tmk-vmm', ...joinNegative(asked).map(markText)], { run: false });
  const command = cli.matchedCommand;
  if (!command && args.length > 0) throw noCommand(args[0]);
  const spec = commandSpecs.find(({ name }) => name === command?.name);
  if (options['help'] === true) return { kind: 'help', text: spec ? commandHelp(spec) : programHelp() };
  if (options['version'] === true) return { kind: 'version' };
  if (!command || !spec) throw noCommand(undefined);
  const positionals = [...args, ...((options['--'] as string[] | undefined) ?? [])].map(unmark);
  checkPositionals(command, positionals);
  return { kind: 'command', command: spec.name, positionals, options: givenOptions(options, spec.options) };
}

function declare(): CAC {
  const cli = cac('tmk-vmm');
  for (const spec of commandSpecs as readonly CommandSpec[]) {
    const command = cli.command(usage(spec), spec.description);
    for (const { name, value, description } of spec.options) command.option(value === undefined ? `--${name}` : `--${name} <${value}>`, description);
  }
  // Declared as options of their own: cac's help() and version() would print by themselves.
  cli.option('-h, --help', '');
  cli.option('-v, --version', '');
  return cli;
}

/** `--seed -5` as `--seed=-5`, so that the value is judged as one and not as an option called 5. */
function joinNegative(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const argument of argv) {
    const last = joined.at(-1);
    if (last !== undefined && /^--[^=]+$/.test(last) && /^-[\d.]/.test(argument)) joined[joined.length - 1] = `${last}=${argument}`;
    else joined.push(argument);
  }
  return joined;
}

function markText(argument: string): string {
  if (argument.startsWith('-')) return argument.replace(/^(--?[^=]+=)/, `$1${TEXT_MARK}`);
  return Number.isFinite(Number(argument)) ? TEXT_MARK + argument : argument;
}

const unmark = (text: string): string => text.replaceAll(TEXT_MARK, '');

function noCommand(given: string | undefined): UsageError {
  const names = commandSpecs.map(({ name }) => name);
  if (given === undefined) return new UsageError(`no command given: choose from ${names.join(', ')} (tmk-vmm --help says more)`);
  return new UsageError(`unknown command "${unmark(given)}"${suggestion(given, names)}`);
}

function checkPositionals(command: Command, positionals: readonly string[]): void {
  const missing = command.args.filter(({ required }) => required)[positionals.length];
  if (missing) throw new UsageError(`${command.name}: no <${missing.value}> given: tmk-vmm ${command.rawName}`);
  const takesMore = command.args.some(({ variadic }) => variadic);
  if (!takesMore && positionals.length > command.args.length) {
    throw new UsageError(`${command.name}: "${positionals[command.args.length]}" is one argument too many: tmk-vmm ${command.rawName}`);
  }
}

/** `--tsc-hz`, from cac's `tscHz`. */
const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function givenOptions(parsed: Readonly<Record<string, unknown>>, specs: readonly OptionSpec[]): GivenOptions {
  const given = new Map<string, readonly string[]>();
  for (const [key, value] of Object.entries(parsed)) {
    if (key === '--') continue;
    const name = kebab(key);
    const spec = specs.find((candidate) => candidate.name === name);
    if (!spec) throw new UsageError(`unknown option ${name.length > 1 ? '--' : '-'}${name}${suggestion(`--${name}`, specs.map((known) => `--${known.name}`))}`);
    given.set(name, valuesOf(spec, Array.isArray(value) ? value : [value]));
  }
  return given;
}

function valuesOf(spec: OptionSpec, values: readonly unknown[]): readonly string[] {
  if (!spec.repeatable && values.length > 1) throw new UsageError(`--${spec.name} is given ${values.length} times: give it once`);
  return values.map((value) => {
    if (spec.value === undefined) return value === true ? 'true' : refuseSwitchValue(spec);
    if (typeof value === 'string' && unmark(value) !== '') return unmark(value);
    throw new UsageError(`--${spec.name} has no value: give it as --${spec.name} <${spec.value}>`);
  });
}

function refuseSwitchValue(spec: OptionSpec): never {
  throw new UsageError(`--${spec.name} takes no value: leave it out or give it alone`);
}
