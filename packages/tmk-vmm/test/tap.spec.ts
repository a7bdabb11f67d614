import { Parser } from 'tap-parser';
import type { Result } from 'tap-parser';
import { describe, expect, it } from 'vitest';
import { tap } from '../src/reporters/tap.js';
import { sampleReport } from './sample-report.js';
import { guest, tmkVmm } from './tool.js';

/** What node-tap's parser makes of a stream, in its strict mode: anything that is not TAP is a failure. */
function parsed(stream: string) {
  const subtests: { name: string; points: Result[] }[] = [];
  const strays: string[] = [];
  const parser = new Parser({ strict: true });
  parser.on('extra', (line: string) => strays.push(line));
  parser.on('child', (child: Parser) => {
    const points: Result[] = [];
    child.on('assert', (point: Result) => points.push(point));
    child.on('extra', (line: string) => strays.push(line));
    subtests.push({ name: child.name, points });
  });
  let version = 0;
  parser.on('version', (told: number) => (version = told));
  parser.end(stream);
  return { subtests, strays: strays.filter((line) => line.trim() !== ''), version, ok: parser.ok };
}

describe('--reporter tap', () => {
  it('prints TAP 14 that a public parser takes in strict mode, from real runs', async () => {
    const { status, stdout } = await tmkVmm(['run', guest('basics'), '--backing', 'all', '--reporter', 'tap']);
    const { subtests, strays, version, ok } = parsed(stdout);
    expect({ status, ok, version, strays }).toEqual({ status: 0, ok: true, version: 14, strays: [] });
    expect(subtests.map(({ name, points }) => [name, points.length])).toEqual([['tdx, hardware timer', 7], ['snp, VmTime', 7]]);
    expect(subtests[0]!.points[0]!.diag).toMatchObject({ outcome: 'passed', exits: { hypervisor: 1, byReason: { hypervisor: { tdvmcall: 1 } } } });
  });

  it('and whatever a guest writes', () => {
    const { subtests, strays } = parsed(tap(sampleReport));
    const point = subtests[0]!.points.at(-1)!;
    expect(strays).toEqual([]);
    expect(subtests.map(({ points }) => points.length)).toEqual([7, 1]);
    expect({ name: point.name, ok: point.ok, todo: point.todo }).toEqual({ name: 'a::writes # TODO \\ <anything>', ok: true, todo: false });
    expect(point.diag.log).toEqual(['...', '---', '1..0', 'Bail out! # TODO', ']]></system-out></testcase>', String.raw`\x00\x1b[2J\r\n    not ok 1`, String.raw`\u{d800} \u{ffff} "quoted" \ & 😀`]);
  });

  it('is not ok where the outcome is not the expected one, and says why', () => {
    const { subtests, ok } = parsed(tap(sampleReport));
    const points = subtests[0]!.points;
    expect(ok).toBe(false);
    expect(points.map((point) => point.ok)).toEqual([true, false, false, false, true, false, true]);
    expect(points[1]).toMatchObject({ time: 1250, diag: { message: 'panicked: 1 < 2 & "3"', outcome: 'failed' } });
    expect(points[5]!.diag).toMatchObject({ message: 'it passed, but its failure is expected', expectedFailure: true });
  });
});
