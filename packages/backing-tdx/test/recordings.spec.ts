import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { replayTdxDeadline } from '../src/conformance.js';

interface RecordedRow {
  readonly id: number;
  readonly kind: string;
  readonly steps?: readonly { out: Record<string, unknown> }[];
}

const rows = readFileSync(new URL('recordings/tdx_deadline.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as RecordedRow);

describe('the TSC deadline service and the recorded reference (openvmm 1488a37b7)', () => {
  for (const kind of ['conv', 'is_before', 'seq']) {
    it(`agree on every field of every ${kind} row`, () => {
      const ofKind = rows.filter((row) => row.kind === kind);
      expect(ofKind.length).toBeGreaterThan(30);
      expect(ofKind.map((row) => ({ id: row.id, difference: replayTdxDeadline(row) })).filter(({ difference }) => difference !== null)).toEqual([]);
    });
  }

  it('leave no row of another kind', () => {
    expect(rows.filter(({ kind }) => !['conv', 'is_before', 'seq'].includes(kind))).toEqual([]);
  });

  it('would disagree if any state field of a step were recorded otherwise', () => {
    const sequence = rows.find(({ kind }) => kind === 'seq')!;
    for (const field of ['d', 'last', 'hw', 'upd']) {
      const forged = structuredClone(sequence);
      forged.steps!.at(-1)!.out[field] = 'forged';
      expect(replayTdxDeadline(forged)).toMatch(new RegExp(`^step ${forged.steps!.length - 1} \\(\\w+\\): out: ${field} is .*, recorded "forged"$`));
    }
  });

  it.each([[null], ['row'], [{ kind: 'other' }], [{ kind: 'seq', freq: '1' }], [{ kind: 'seq', freq: '0', steps: [{}] }], [{ kind: 'seq', freq: '7', steps: [{ op: 'leap' }] }]])(
    'say in one line what is malformed about %j',
    (row) => {
      expect(replayTdxDeadline(row)).toMatch(/^malformed row: .+$/);
    },
  );
});
