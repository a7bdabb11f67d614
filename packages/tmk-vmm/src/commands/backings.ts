import type { BackingOption } from '@paravisor/virt-core';
import { knownBackings } from '../backings.js';
import type { GivenOptions } from '../cli/argv.js';
import type { RunnableBackingFactory } from '../compose.js';
import { toJson } from '../reporters/json.js';
import { settingGroups } from '../settings.js';
import type { SettingGroup } from '../settings.js';
import type { Style } from '../reporters/style.js';

/** `tmk-vmm backings`: what is registered, plugins included, and what else `--set` reaches. */
export async function backings(options: GivenOptions, style: Style): Promise<string> {
  const factories = await knownBackings(options.get('plugin') ?? []);
  if (options.has('json')) return toJson({ schema: 'tmk-vmm/backings@1', backings: factories.map(plain), settings: settingGroups.map(({ name, options: settable }) => ({ name, options: settable.map(plainOption) })) });
  return [...factories.map((factory) => describe(factory, style)), ...settingGroups.map((group) => describeGroup(group, style))].join('\n');
}

/** Only what the schema has: a plugin's factory may carry more. */
function plain({ name, isolation, usesHardwareTimer, options, variants = [{}] }: RunnableBackingFactory) {
  return { name, isolation, usesHardwareTimer, options: options.map(plainOption), variants };
}

function describe({ name, isolation, usesHardwareTimer, options, variants = [] }: RunnableBackingFactory, style: Style): string {
  const timer = usesHardwareTimer ? 'hardware guest timer, or VmTime' : 'VmTime guest timer';
  const compared = variants.length > 1 ? `  compare shows ${variants.map(settings).join('; ')}\n` : '';
  return `${style.bold(name)}  isolation ${isolation}, ${timer}\n${optionLines(name, options)}${compared}`;
}

function describeGroup({ name, description, options }: SettingGroup, style: Style): string {
  return `${style.bold(name)}  ${description}\n${optionLines(name, options)}`;
}

function optionLines(name: string, options: readonly BackingOption[]): string {
  return options.map((option) => `  --set ${name}.${option.name}=${option.values.join('|')}  ${option.description} (default ${option.values[0]})\n`).join('');
}

const plainOption = ({ name, values, description }: BackingOption) => ({ name, values, description });

/** A variant's settings as one would read them: `rearm=on`. */
function settings(variant: Readonly<Record<string, string>>): string {
  return Object.entries(variant).map(([name, value]) => `${name}=${value}`).join(' ');
}
