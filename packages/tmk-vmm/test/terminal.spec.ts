/** What is written for people: colours and progress, and that neither gets into a pipe or a file. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { main } from '../src/main.js';
import { pretty } from '../src/reporters/pretty.js';
import { styleFor } from '../src/reporters/style.js';
import { sampleReport } from './sample-report.js';
import { guest } from './tool.js';

const folder = mkdtempSync(join(tmpdir(), 'tmk-vmm-terminal-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ESCAPE = '\x1b[';

interface Seen {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdoutIsTTY?: boolean;
  readonly stderrIsTTY?: boolean;
  readonly columns?: number;
}

async function look(args: readonly string[], { env = {}, stdoutIsTTY = false, stderrIsTTY = false, columns = 80 }: Seen) {
  const said = { stdout: '', stderr: '' };
  await main(args, {
    stdout: { write: (text) => void (said.stdout += text), isTTY: stdoutIsTTY },
    stderr: { write: (text) => void (said.stderr += text), isTTY: stderrIsTTY, columns },
    env,
  });
  return said;
}

const boot = ['run', guest('basics'), 'basics::boot'];

describe('colours', () => {
  it.each<[string, Seen, boolean]>([
    ['on a terminal', { stdoutIsTTY: true }, true],
    ['not in a pipe', {}, false],
    ['not in a pipe of a CI either', { env: { CI: 'true' } }, false],
    ['not on a terminal under NO_COLOR (no-color.org)', { stdoutIsTTY: true, env: { NO_COLOR: '1' } }, false],
    ['but an empty NO_COLOR says nothing (no-color.org)', { stdoutIsTTY: true, env: { NO_COLOR: '' } }, true],
    ['in a pipe under FORCE_COLOR', { env: { FORCE_COLOR: '1' } }, true],
    ['not under FORCE_COLOR=0', { stdoutIsTTY: true, env: { FORCE_COLOR: '0' } }, false],
    ['NO_COLOR wins over FORCE_COLOR', { stdoutIsTTY: true, env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, false],
    ['not on a dumb terminal', { stdoutIsTTY: true, env: { TERM: 'dumb' } }, false],
  ])('%s', async (_when, seen, expected) => {
    for (const args of [boot, ['backings']]) expect((await look(args, seen)).stdout.includes(ESCAPE)).toBe(expected);
  });

  it.each(['json', 'junit', 'tap'])('never from the %s reporter', async (reporter) => {
    const { stdout } = await look([...boot, '--reporter', reporter], { stdoutIsTTY: true, env: { FORCE_COLOR: '1' } });
    expect(stdout).not.toBe('');
    expect(stdout).not.toContain(ESCAPE);
  });

  it('never in a file', async () => {
    const output = join(folder, 'report.txt');
    await look([...boot, '--output', output], { stdoutIsTTY: true, env: { FORCE_COLOR: '1' } });
    expect(readFileSync(output, 'utf8')).not.toContain(ESCAPE);
  });
});

describe('a guest', () => {
  it('cannot drive the terminal: what it writes is shown, not obeyed', () => {
    const runs = sampleReport.runs.map((run) => ({ ...run, tests: run.tests.map((test) => ({ ...test, ok: false })) }));
    const text = pretty({ ...sampleReport, runs }, styleFor(false), new Set());
    expect(text).toContain(String.raw`  | \x00\x1b[2J\r\n    not ok 1`);
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });
});

describe('progress', () => {
  it('tells on a terminal which test of how many runs, and leaves nothing behind', async () => {
    const { stdout, stderr } = await look(['run', guest('basics'), 'basics::boot', 'basics::ud2', '--backing', 'all'], { stderrIsTTY: true });
    const lines = stderr.split('\r\x1b[2K');
    expect(lines).toEqual(['', expect.stringMatching(/^\[1\/4\] \d+\.\d s {2}tdx {2}basics::boot$/), expect.stringContaining('[2/4]'), expect.stringMatching(/^\[3\/4\] .* snp {2}basics::boot$/), expect.stringContaining('[4/4]'), '']);
    expect(stdout).not.toContain('\r');
  });

  it('fits the terminal, so that its line can be taken away', async () => {
    const { stderr } = await look(boot, { stderrIsTTY: true, columns: 12 });
    expect(Math.max(...stderr.split('\r\x1b[2K').map((line) => line.length))).toBe(11);
  });

  it.each<[string, Seen]>([
    ['in a pipe, whatever stdout is', { stdoutIsTTY: true }],
    ['on a dumb terminal', { stderrIsTTY: true, env: { TERM: 'dumb' } }],
    ['under FORCE_COLOR', { env: { FORCE_COLOR: '1' } }],
  ])('says nothing %s', async (_where, seen) => {
    expect((await look(boot, seen)).stderr).toBe('');
  });
});
