import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const top = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

function conformance(...files: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/conformance.mjs', ...files], { cwd: top, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function recording(name: string, contents: string): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

const rows = readFileSync(join(top, 'packages/virt-core/test/recordings/vmtime.jsonl'), 'utf8').split('\n').slice(0, 3);

describe('npm run -s conformance', () => {
  it('replays a recording and ends with a count', () => {
    expect(conformance(recording('vmtime.jsonl', rows.join('\n')))).toMatchObject({ status: 0, stdout: '3 passed, 0 failed\n' });
  });

  it('tells where a row does not agree, and exits with 1', () => {
    const tampered = JSON.parse(rows[0]!);
    tampered.out.add = String(BigInt(tampered.out.add) + 1n);
    const { status, stdout } = conformance(recording('vmtime.tampered.jsonl', [rows[1], JSON.stringify(tampered)].join('\n')));
    expect(status).toBe(1);
    expect(stdout).toMatch(/vmtime\.tampered\.jsonl:2: .*\n1 passed, 1 failed\n$/);
  });

  it.each([
    ['no file', () => [], 'no file given'],
    ['a missing file', () => [join(folder, 'vmtime.absent.jsonl')], 'there is no such file'],
    ['a folder', () => [join(top, 'packages')], 'no recording is called "packages"'],
    ['an unknown kind', () => [recording('times.jsonl', '{}')], 'no recording is called "times"'],
    ['an empty file', () => [recording('vmtime.empty.jsonl', '\n')], 'it holds no rows'],
    ['a line that is not JSON', () => [recording('vmtime.broken.jsonl', `${rows[0]}\n{"kind":`)], 'vmtime.broken.jsonl:2: this line is not JSON'],
    ['a line that is no object', () => [recording('vmtime.list.jsonl', '[]')], 'not a JSON object'],
    ['a row of another schema', () => [recording('vmtime.other.jsonl', '{"kind":"access"}')], 'cannot be replayed'],
  ])('refuses %s with status 2 and one line', (_what, files, expected) => {
    const { status, stdout, stderr } = conformance(...files());
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^conformance: [^\n]+\n$/);
    expect(stderr).toContain(expected);
  });
});
