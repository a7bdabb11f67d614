import { knownBackings } from '../backings.js';
import type { GivenOptions } from '../cli/argv.js';
import type { RunnableBackingFactory } from '../compose.js';
import { toJson } from '../reporters/json.js';
import type { Style } from '../reporters/style.js';

/** `tmk-vmm backings`: what is registered, plugins included. */
export async function backings(options: GivenOptions, style: Style): Promise<string> {
  const factories = await knownBackings(options.get('plugin') ?? []);
  if (options.has('json')) return toJson({ schema: 'tmk-vmm/backings@1', backings: factories.map(plain) });
  return factories.map((factory) => describe(factory, style)).join('\n');
}

/** Only what the schema has: a plugin's factory may carry more. */
function plain({ name, isolation, usesHardwareTimer, options, variants = [{}] }: RunnableBackingFactory) {
  return { name, isolation, usesHardwareTimer, options: options.map((option) => ({ name: option.name, values: option.values, description: option.description })), variants };
}

function describe({ name, isolation, usesHardwareTimer, options, variants = [] }: RunnableBackingFactory, style: Style): string {
  const timer = usesHardwareTimer ? 'hardware guest timer, or VmTime' : 'VmTime guest timer';
  const lines = options.map((option) => `  --set ${name}.${option.name}=${option.values.join('|')}  ${option.description} (default ${option.values[0]})\n`);
  const compared = variants.length > 1 ? `  compare shows ${variants.map(settings).join('; ')}\n` : '';
  return `${style.bold(name)}  isolation ${isolation}, ${timer}\n${lines.join('')}${compared}`;
}

/** A variant's settings as one would read them: `rearm=on`. */
function settings(variant: Readonly<Record<string, string>>): string {
  return Object.entries(variant).map(([name, value]) => `${name}=${value}`).join(' ');
}
