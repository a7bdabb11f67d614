import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { replayLapicTimer, replaySynicTimer, replayVmTime } from '../src/conformance/index.js';

const recordings = [
  { file: 'vmtime', claim: 'VmTime arithmetic, the VmTime guest timer and its one waiter', replay: replayVmTime, rows: 520 },
  { file: 'synic_timer', claim: 'four synthetic timers and their message slots', replay: replaySynicTimer, rows: 300 },
  { file: 'lapic_timer', claim: 'the local APIC timer and its requests', replay: replayLapicTimer, rows: 300 },
] as const;

function rowsOf(file: string): unknown[] {
  const text = readFileSync(new URL(`./recordings/${file}.jsonl`, import.meta.url), 'utf8');
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
}

describe('recordings of the reference (openvmm 1488a37b7)', () => {
  it.each(recordings)('$file: $claim agree in every field of every step', ({ file, replay, rows }) => {
    const all = rowsOf(file);
    expect(all).toHaveLength(rows);
    const disagreements = all.map((row, index) => ({ line: index + 1, found: replay(row) })).filter(({ found }) => found !== null);
    expect(disagreements).toEqual([]);
  });

  it.each(recordings)('$file: a replay notices when a recorded value is another', ({ file, replay }) => {
    const noticed = rowsOf(file).slice(0, 40).map((row) => replay(spoilLastNumber(row)));
    expect(noticed.every((found) => found !== null)).toBe(true);
  });

  it.each(recordings)('$file: a row of another schema is called malformed', ({ replay }) => {
    for (const row of [null, 7, [], {}, { kind: 'access', vm0: '1', os0: '-1', steps: [] }, { steps: [{ op: 'dance', now: '1' }] }]) {
      expect(replay(row)).toMatch(/^malformed row: /);
    }
  });
});

/** The row with the last recorded `out` changed in its first field. */
function spoilLastNumber(row: unknown): unknown {
  const copy = structuredClone(row) as { out?: Record<string, unknown>; timeout?: string; steps?: { out: Record<string, unknown> }[] };
  const out = copy.steps?.at(-1)?.out ?? copy.out;
  if (out === undefined) return { ...copy, timeout: `${copy.timeout}0` };
  const name = Object.keys(out)[0]!;
  out[name] = 'spoilt';
  return copy;
}
