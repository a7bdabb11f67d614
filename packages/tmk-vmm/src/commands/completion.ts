import { defaultCosts } from '@paravisor/virt-machine';
import { knownBackings } from '../backings.js';
import { shellNames } from '../cli/commands.js';
import type { ShellName } from '../cli/commands.js';
import { suggestion } from '../cli/suggest.js';
import { bashScript } from '../completion/bash.js';
import { fishScript } from '../completion/fish.js';
import type { KnownNames } from '../completion/words.js';
import { zshScript } from '../completion/zsh.js';
import { settingGroups } from '../settings.js';
import { UsageError } from '../errors.js';

const scripts: Readonly<Record<ShellName, (known: KnownNames) => string>> = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** `tmk-vmm completion <shell>`: a script for that shell. Throws `UsageError` for a shell without one. */
export async function completion(name: string): Promise<string> {
  const shell = shellNames.find((candidate) => candidate === name);
  if (shell === undefined) throw new UsageError(`completion: there is no script for "${name}"${suggestion(name, shellNames)}`);
  return scripts[shell]({ backings: await knownBackings([]), settings: settingGroups, costs: Object.keys(defaultCosts.ticks) });
}
