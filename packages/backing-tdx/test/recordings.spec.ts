import { readFileSync } from 'node:fs';
import { RunStatus, TdxStatus, U64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { replayTdxDeadline } from '../src/conformance.js';
import { TscDeadlineService } from '../src/paravisor/index.js';
import { ScriptedTdxVp } from './scripted-vp.js';

interface RecordedStep {
  readonly op: string;
  readonly now?: string;
  readonly next?: string;
  readonly tsc?: string;
  readonly out: Record<string, unknown>;
}

interface RecordedRow {
  readonly freq?: string;
  readonly id: number;
  readonly kind: string;
  readonly steps?: readonly RecordedStep[];
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

describe('the recorded sequences, driven through a VP with its run page and runs', () => {
  /** What the recording writes, read off the VP and its page; `end` is a whole run: begin, private registers, the ioctl, private registers, end. */
  function drive({ freq, steps }: RecordedRow, status: RunStatus): readonly unknown[] {
    const service = new TscDeadlineService(Number(freq));
    const { vp, hcl, page } = new ScriptedTdxVp(ScriptedTdxVp.settings, service);
    const cell = (text: string): U64 => U64.of(BigInt(text));
    return steps!.map(({ op, now, next, tsc }) => {
      if (op === 'clear') service.clearDeadline(vp);
      if (op === 'update') {
        hcl.tsc.set(cell(tsc!));
        service.updateDeadline(vp, cell(now!), cell(next!));
      }
      if (op === 'end') {
        vp.beforeRun(0, false);
        // Nothing ran, or it came back by an interrupt for VTL2; the page's deadline is left for the recording to compare.
        page.context.exitInfo.rax.setParts(1, TdxStatus.L2ExitPendingInterrupt);
        vp.afterRun(0, status);
      }
      const { deadline, hasDeadline, lastDeadline, hasLastDeadline } = vp.tscDeadline;
      const decimal = (value: U64): string => value.toBigInt().toString();
      const { l2TscDeadline } = page.context;
      return {
        d: hasDeadline ? decimal(deadline) : null,
        last: hasLastDeadline ? decimal(lastDeadline) : null,
        hw: decimal(new U64().set(l2TscDeadline.deadline)),
        upd: l2TscDeadline.updateDeadline,
      };
    });
  }

  it.each([
    ['finish', RunStatus.Finished],
    ['are cancelled', RunStatus.Cancelled],
  ] as const)('agree in every state when the runs %s', (_, status) => {
    const sequences = rows.filter(({ kind }) => kind === 'seq');
    for (const row of sequences) expect(drive(row, status), `row ${row.id}`).toEqual(row.steps!.map(({ out }) => out));
  });
});
