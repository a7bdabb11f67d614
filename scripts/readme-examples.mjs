/**
 * The examples of a package's README. Each block of `ts` or `js` there is a program that is whole in itself, and each line that starts with
 * `npx tmk-vmm` a command, given in a project that has the package installed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './workspace.mjs';

/** Programs, commands (the words after `tmk-vmm`), and the packages of this repository they name. */
export function examplesOf({ folder, files }) {
  if (!files.includes('README.md')) return { programs: [], commands: [], packages: [] };
  const page = readFileSync(join(root, 'packages', folder, 'README.md'), 'utf8');
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language, text]) => ({ language, text }));
  const programs = blocks
    .filter(({ language }) => ['ts', 'js'].includes(language))
    .map(({ language, text }, index) => ({ file: `example-${index + 1}.${language === 'ts' ? 'ts' : 'mjs'}`, text }));
  const commands = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => line.startsWith('npx tmk-vmm '))
    .map((line) => [...line.replace(/\s#.*$/, '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain).slice(2));
  const packages = programs.flatMap(({ text }) => text.match(/@paravisor\/[a-z0-9-]+/g) ?? []);
  return { programs, commands, packages: [...packages, ...(commands.length > 0 ? ['@paravisor/tmk-vmm'] : [])] };
}
