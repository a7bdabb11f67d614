/** The commands, from the table by which the tool parses its arguments; the options of backings, from the tool itself. */
import { commandSpecs } from '../../packages/tmk-vmm/dist/cli/commands.js';
import { programHelp, usage } from '../../packages/tmk-vmm/dist/cli/help.js';
import { blocks, cell, code, table } from './markdown.mjs';
import { tmkVmm } from './tool.mjs';

/** Every command with its arguments, options and examples. */
export const commands = () => blocks(...commandSpecs.map(commandSection));

/** What `tmk-vmm --help` prints. */
export const help = () => `\`\`\`text\n${programHelp().trimEnd()}\n\`\`\``;

/** What `--set` takes. */
export function backingOptions() {
  const { backings, settings } = JSON.parse(tmkVmm('backings', '--json'));
  const rows = [...backings, ...settings].flatMap(({ name, options }) =>
    options.map(({ name: option, values, description }) => [code(`${name}.${option}`), values.map(code).join(', '), cell(description)]),
  );
  return table(['option', 'values, the default first', 'what it does'], rows);
}

function commandSection(spec) {
  return blocks(
    `## ${code(`tmk-vmm ${spec.name}`)}`,
    `${spec.description}.`,
    `\`\`\`text\ntmk-vmm ${usage(spec)}${spec.options.length > 0 ? ' [options]' : ''}\n\`\`\``,
    table(['argument', 'what it is'], spec.arguments.map(({ name, description }) => [code(name), cell(description)])),
    table(['option', 'default', 'what it does'], spec.options.map(optionRow)),
    table(['example', 'what it shows'], spec.examples.map(([args, what]) => [code(`tmk-vmm ${spec.name} ${args}`.trimEnd()), cell(what)])),
  );
}

function optionRow({ name, value, default: fallback, description, repeatable }) {
  const flag = value === undefined ? `--${name}` : `--${name} <${value}>`;
  return [code(flag), fallback === undefined ? '' : code(fallback), cell(description) + (repeatable ? '; may be repeated' : '')];
}
