/** From names and settings on the command line to backings, each with its options. */
import type { Backing } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import type { BackingSetting } from './cli/options.js';
import { suggestion } from './cli/suggest.js';
import { composeBackings } from './compose.js';
import type { RunnableBackingFactory } from './compose.js';
import { UsageError } from './errors.js';
import { loadPlugins } from './plugins.js';
import { settingGroups } from './settings.js';
import type { SettingGroup } from './settings.js';

/** On the command line, every backing there is. */
export const ALL_BACKINGS = 'all';

/** Every backing this call knows. Throws `UsageError` when two have one name. */
export async function knownBackings(plugins: readonly string[]): Promise<readonly RunnableBackingFactory[]> {
  const factories = composeBackings(await loadPlugins(plugins));
  const names = new Set<string>([ALL_BACKINGS, ...settingGroups.map(({ name }) => name)]);
  for (const { name } of factories) {
    if (names.has(name)) throw new UsageError(`--plugin: the name "${name}" is taken: rename the plugin's backing`);
    names.add(name);
  }
  return factories;
}

/** The factories of `names`, in that order and each once. Throws `UsageError`. */
export function chooseFactories(factories: readonly RunnableBackingFactory[], names: readonly string[]): RunnableBackingFactory[] {
  return [...new Set(names.flatMap((name) => (name === ALL_BACKINGS ? factories : [factoryNamed(factories, name)])))];
}

/** A backing made with the settings that concern it. */
export function makeBacking(factory: RunnableBackingFactory, settings: readonly BackingSetting[]): Backing<MachineBacking> {
  return factory.create(settingsOf(factory, settings));
}

/** A backing for each of its factory's variants; a setting counts for all of them, and what comes out alike is made once. */
export function makeVariants(factory: RunnableBackingFactory, settings: readonly BackingSetting[]): Backing<MachineBacking>[] {
  const given = settingsOf(factory, settings);
  const made = (factory.variants ?? [{}]).map((variant) => factory.create({ ...variant, ...given }));
  return [...new Map(made.map((backing) => [JSON.stringify(backing.options), backing])).values()];
}

function settingsOf({ name }: RunnableBackingFactory, settings: readonly BackingSetting[]): Record<string, string> {
  return Object.fromEntries(settings.filter(({ backing }) => backing === name).map(({ option, value }) => [option, value]));
}

/** Throws `UsageError` for a setting of what is not there. */
export function checkSettings(factories: readonly RunnableBackingFactory[], settings: readonly BackingSetting[]): void {
  for (const setting of settings) checkSetting(factories, setting);
}

function factoryNamed(factories: readonly RunnableBackingFactory[], name: string): RunnableBackingFactory {
  const factory = factories.find((candidate) => candidate.name === name);
  if (!factory) throw new UsageError(`unknown backing "${name}"${suggestion(name, [...factories.map((known) => known.name), ALL_BACKINGS])}`);
  return factory;
}

function checkSetting(factories: readonly RunnableBackingFactory[], { backing, option, value }: BackingSetting): void {
  const groups: readonly Pick<SettingGroup, 'name' | 'options'>[] = [...factories, ...settingGroups];
  const group = groups.find(({ name }) => name === backing);
  if (!group) throw new UsageError(`--set ${backing}.${option}: unknown backing "${backing}"${suggestion(backing, groups.map(({ name }) => name))}`);
  const known = group.options.find(({ name }) => name === option);
  const names = group.options.map(({ name }) => `${backing}.${name}`);
  if (!known) throw new UsageError(`--set ${backing}.${option}: ${backing} has no such option${names.length > 0 ? suggestion(`${backing}.${option}`, names) : ', it has none at all'}`);
  if (!known.values.includes(value)) throw new UsageError(`--set ${backing}.${option}=${value}: "${value}" is no value of it${suggestion(value, known.values)}`);
}
