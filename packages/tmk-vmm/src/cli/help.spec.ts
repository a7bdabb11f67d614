import { describe, expect, it } from 'vitest';
import { parseArgv } from './argv.js';
import { commandSpecs } from './commands.js';
import type { CommandSpec } from './commands.js';

function help(...argv: string[]): string {
  const invocation = parseArgv(argv);
  if (invocation.kind !== 'help') throw new Error(`${invocation.kind} instead of help`);
  return invocation.text;
}

/** The words of an example: quotes taken off, and what a shell would redirect. */
const words = (example: string): string[] => [...example.replace(/ > .*/, '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);

const specs: readonly CommandSpec[] = commandSpecs;

describe('help', () => {
  it('of the program names every command, the exit statuses and the environment', () => {
    const text = help('--help');
    for (const { name, description } of specs) expect(text).toMatch(new RegExp(`^  ${name} .*  ${description}$`, 'm'));
    for (const part of ['  2  usage', 'NO_COLOR', 'FORCE_COLOR', 'OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT']) expect(text).toContain(part);
  });

  it.each(specs)('of $name has each option under its heading with its default, and examples', (spec) => {
    const text = help(spec.name, '--help');
    expect(text).toBe(help('help', spec.name));
    expect(text).toBe(help(spec.name, '-h'));
    for (const option of spec.options) {
      const section = text.split('\n\n').find((part) => part.startsWith(`${option.group}:`))!;
      expect(section).toContain(`  --${option.name}`);
      if (option.default !== undefined) expect(section.split('\n').find((line) => line.includes(`--${option.name} `))).toContain(`default ${option.default}`);
    }
    for (const part of ['Usage:\n  tmk-vmm', 'Examples:\n', 'Exit status:\n', '--version']) expect(text).toContain(part);
  });

  it.each(specs.flatMap(({ name, examples }) => examples.map(([args]) => `${name} ${args}`)))('its example parses: %s', (example) => {
    expect(parseArgv(words(example)).kind).toBe('command');
  });

  it('fits a terminal of 100 columns, with nothing at the ends of lines', () => {
    for (const text of [help('--help'), ...specs.map(({ name }) => help(name, '--help'))]) {
      expect(text.split('\n').filter((line) => line.length > 100 || line.endsWith(' '))).toEqual([]);
      expect(text).toMatch(/[^\n]\n$/);
    }
  });

  it('is that of the command, whatever its arguments are called', () => {
    expect(help('list', 'run', '--help')).toBe(help('list', '--help'));
  });

  it('is not given for a command that does not exist', () => {
    expect(() => parseArgv(['rnu', '--help'])).toThrow('did you mean "run"?');
  });

  it.each(specs)('of $name stands beside its version', ({ name }) => {
    expect(parseArgv([name, '--version'])).toEqual({ kind: 'version' });
  });
});
