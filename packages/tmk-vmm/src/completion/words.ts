/** What a shell can offer, from the table of commands and from what is registered when the script is made. */
import { ALL_BACKINGS } from '../backings.js';
import { commandSpecs } from '../cli/commands.js';
import type { CommandSpec, OptionSpec, ValueKind } from '../cli/commands.js';
import type { RunnableBackingFactory } from '../compose.js';
import type { SettingGroup } from '../settings.js';

/** Names that change with backings and cost models. */
export interface KnownNames {
  readonly backings: readonly Pick<RunnableBackingFactory, 'name' | 'options'>[];
  /** What else `--set` reaches. */
  readonly settings: readonly SettingGroup[];
  readonly costs: readonly string[];
}

/** Fixed words, the names of files, the tests of the guest that the line names, or nothing that could be listed. */
export type Offer = { readonly words: readonly string[] } | 'files' | 'tests' | 'nothing';

export const commands: readonly CommandSpec[] = commandSpecs;

/** Every option once: one name means the same in every command. */
export const everyOption: readonly OptionSpec[] = [...new Map(commands.flatMap(({ options }) => options).map((option) => [option.name, option])).values()];

/** Options of every command that are not in the table. */
export const generalOptions = [
  { name: 'help', description: 'Show help' },
  { name: 'version', description: 'Show the version' },
] as const;

export function offerFor(kind: ValueKind | undefined, known: KnownNames): Offer {
  switch (kind) {
    case undefined:
      return 'nothing';
    case 'file':
      return 'files';
    case 'test':
      return 'tests';
    case 'backing':
      return { words: [...known.backings.map(({ name }) => name), ALL_BACKINGS] };
    case 'setting':
      return { words: [...known.backings, ...known.settings].flatMap(({ name, options }) => options.flatMap((option) => option.values.map((value) => `${name}.${option.name}=${value}`))) };
    case 'cost':
      return { words: known.costs.map((name) => `${name}=`) };
    default:
      return { words: kind };
  }
}

/** A text in single quotes, for every shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
