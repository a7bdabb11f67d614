/** From names and settings on the command line to backings, each with its options. */
import type { Backing } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import type { BackingSetting } from './cli/options.js';
import { suggestion } from './cli/suggest.js';
import { composeBackings } from './compose.js';
import type { RunnableBackingFactory } from './compose.js';
import { UsageError } from './errors.js';
import { loadPlugins } from './plugins.js';

/** On the command line, every backing there is. */
export const ALL_BACKINGS = 'all';

/** Every backing this call knows. Throws `UsageError` when two have one name. */
export async function knownBackings(plugins: readonly string[]): Promise<readonly RunnableBackingFactory[]> {
  const factories = composeBackings(await loadPlugins(plugins));
  const names = new Set<string>([ALL_BACKINGS, 'host']);
  for (const { name } of factories) {
    if (names.has(name)) throw new UsageError(`--plugin: the name "${name}" is taken: rename the plugin's backing`);
    names.add(name);
  }
  return factories;
}

/** The backings of `names`, in that order and each once, made with the settings that concern them. Throws `UsageError`. */
export function chooseBackings(
  factories: readonly RunnableBackingFactory[],
  names: readonly string[],
  settings: readonly BackingSetting[],
): Backing<MachineBacking>[] {
  for (const setting of settings) checkSetting(factories, setting);
  const chosen = new Set(names.flatMap((name) => (name === ALL_BACKINGS ? factories : [factoryNamed(factories, name)])));
  return [...chosen].map((factory) => {
    const options = settings.filter(({ backing }) => backing === factory.name).map(({ option, value }) => [option, value]);
    return factory.create(Object.fromEntries(options));
  });
}

function factoryNamed(factories: readonly RunnableBackingFactory[], name: string): RunnableBackingFactory {
  const factory = factories.find((candidate) => candidate.name === name);
  if (!factory) throw new UsageError(`unknown backing "${name}"${suggestion(name, [...factories.map((known) => known.name), ALL_BACKINGS])}`);
  return factory;
}

function checkSetting(factories: readonly RunnableBackingFactory[], { backing, option, value }: BackingSetting): void {
  const { options } = factoryNamed(factories, backing);
  const known = options.find(({ name }) => name === option);
  const names = options.map(({ name }) => `${backing}.${name}`);
  if (!known) throw new UsageError(`--set ${backing}.${option}: ${backing} has no such option${names.length > 0 ? suggestion(`${backing}.${option}`, names) : ', it has none at all'}`);
  if (!known.values.includes(value)) throw new UsageError(`--set ${backing}.${option}=${value}: "${value}" is no value of it${suggestion(value, known.values)}`);
}
