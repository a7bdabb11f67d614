/** Examples in the documentation are run: every command line, and every program that is whole in itself. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { tmkVmm } from './tool.js';

const top = fileURLToPath(new URL('../../..', import.meta.url));
const read = (page: string): string => readFileSync(join(top, page), 'utf8');
const scratch = mkdtempSync(join(tmpdir(), 'tmk-vmm-docs-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const guides = readdirSync(join(top, 'docs')).filter((name) => name.endsWith('.md'));
const readmes = readdirSync(join(top, 'packages')).map((name) => `packages/${name}/README.md`).filter((page) => existsSync(join(top, page)));
const pages = ['README.md', ...guides.map((name) => `docs/${name}`), ...readmes];

/** The fenced blocks of a page in these languages. */
function blocks(page: string, ...languages: readonly string[]): string[] {
  return [...read(page).matchAll(/^```(\w*)\n(.*?)^```/gms)].filter(([, language]) => languages.includes(language!)).map(([, , text]) => text!);
}

/** The words of a command line: quotes taken off, and the comment. */
function words(line: string): string[] {
  return [...line.replace(/\s#.*$/, '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

/** The same as a reader at the top of the repository would give it, with what it writes put aside. */
function placed(args: readonly string[]): string[] {
  return args.map((word, index) => {
    if (word.startsWith('packages/')) return join(top, word);
    return ['--trace', '--output'].includes(args[index - 1] ?? '') ? join(scratch, word) : word;
  });
}

const commands = new Set(
  pages
    .flatMap((page) => blocks(page, 'sh'))
    .flatMap((block) => block.split('\n'))
    .filter((line) => line.startsWith('npx tmk-vmm '))
    .map((line) => JSON.stringify(words(line).slice(2))),
);

describe('the documentation', () => {
  it.each([...commands])('its command runs, all as expected: tmk-vmm %s', async (command) => {
    const { status, stdout, stderr } = await tmkVmm(placed(JSON.parse(command)));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toBe('');
  });

  it.each(['README.md', 'docs/save-and-restore.md', 'packages/partition/README.md'])('the program in %s runs, and its guest passes', (page) => {
    const [program] = blocks(page, 'ts');
    // From the package that may import all others; files are named from the top.
    const script = `process.chdir(${JSON.stringify(top)});\n${program}`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: join(top, 'packages/tmk-vmm'), encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^passed /);
  });

  it('its parts that are made from the options, schemas, costs and traces are up to date (npm run docs:update)', () => {
    const { status, stderr } = spawnSync(process.execPath, ['docs/generate/sections.mjs', '--check'], { cwd: top, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }, 300_000);

  it('its links between pages and to files lead somewhere', () => {
    const broken = pages.flatMap((page) =>
      [...read(page).replaceAll(/^```.*?^```/gms, '').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => target!)
        .filter((target) => !/^https?:/.test(target) && !existsSync(new URL(target, new URL(page, new URL('../../../', import.meta.url)))))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
