import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const docs = new URL('../../../docs/', import.meta.url);
const page = readFileSync(new URL('conformance.md', docs), 'utf8');

/** `[x.spec.ts](../packages/…/x.spec.ts) › title`, several of them between `<br>`. */
const reference = /\[[^\]]+\]\(([^)]+)\) › (.+?)(?=<br>| \|$)/gm;
const named = [...page.matchAll(reference)].map(([, file, title]) => ({ file: file!, title: title!.replaceAll(String.raw`\|`, '|') }));

/** Whether the source has `title` as a whole string: titles of `it.each` stand there with their placeholders. */
function hasTitle(source: string, title: string): boolean {
  const plain = source.replaceAll(/\\(['"`])/g, '$1');
  return [`'${title}'`, `"${title}"`, `\`${title}\``].some((quoted) => plain.includes(quoted));
}

function missing(file: string, title: string): string | null {
  const url = new URL(file, docs);
  if (!existsSync(url)) return `${file} does not exist`;
  return hasTitle(readFileSync(url, 'utf8'), title) ? null : `${file} has no test "${title}"`;
}

it('every test that docs/conformance.md names exists', () => {
  expect(named.map(({ file, title }) => missing(file, title)).filter((line) => line !== null)).toEqual([]);
});

it('every row of its tables of claims and hazards names a test', () => {
  const tables = page.split('\n## ').filter((section) => /^\| (claim|hazard) \|/m.test(section));
  const rows = tables.flatMap((section) => section.split('\n').filter((line) => line.startsWith('| '))).filter((line) => !/^\| (claim|hazard|---) \|/.test(line));
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.filter((line) => line.search(reference) < 0)).toEqual([]);
});
