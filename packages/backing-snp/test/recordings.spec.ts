import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { replaySnpScan } from '../src/conformance.js';

const rows: unknown[] = readFileSync(new URL('recordings/snp_scan.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as unknown);

/** A row with the recorded state after its first step changed. */
function falsified(row: unknown): unknown {
  const copy = structuredClone(row) as { steps: { out: { seen: boolean } }[] };
  copy.steps[0]!.out.seen = !copy.steps[0]!.out.seen;
  return copy;
}

describe('recordings of openvmm 1488a37b7', () => {
  it('snp_scan: every field of every step agrees (PR 3935)', () => {
    expect(rows.length).toBe(250);
    expect(rows.map(replaySnpScan).filter((found) => found !== null)).toEqual([]);
  });

  it('a recorded field that differs is named with its step', () => {
    expect(replaySnpScan(falsified(rows[0]))).toBe('step 0 (clear): out: seen is false, recorded true');
  });

  it('a row of another schema is said to be malformed', () => {
    expect(replaySnpScan(null)).toBe('malformed row: the row is not an object');
    expect(replaySnpScan({ vm0: '1', steps: [{ op: 'leap', os: '0', out: {} }] })).toBe('malformed row: step 0: no such step: leap');
    expect(replaySnpScan({ vm0: '18446744073709551616', steps: [] })).toBe('malformed row: vm0 is not a 64-bit decimal');
  });
});
