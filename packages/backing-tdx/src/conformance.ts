/** Replays recordings of the reference (`test/recordings/tdx_deadline.jsonl`) through the service guests run on. */
import { U64, UPDATE_DEADLINE, tdxL2TscDeadlineLayout, viewOf } from '@paravisor/hcl-protocol';
import { TscScale, recordedRow } from '@paravisor/virt-core';
import { TscDeadlineService, TscDeadlineState } from './paravisor/index.js';
import type { TscDeadlineVp } from './paravisor/index.js';

const { MalformedRow, decimal, difference, quantity, replay, replaySteps, text } = recordedRow;
type Row = recordedRow.Row;

/** A frequency in Hz: an exact number. */
function frequency(row: Row): number {
  const hz = quantity(row, 'freq').toNumber();
  if (!Number.isSafeInteger(hz) || hz === 0) throw new MalformedRow('freq is no frequency');
  return hz;
}

/** A VP as the service sees one: its state, its page, and a TSC that reads what the recording says. */
class RecordedVp implements TscDeadlineVp {
  readonly tscDeadline = new TscDeadlineState();
  readonly deadlinePage = viewOf(tdxL2TscDeadlineLayout, new Uint8Array(tdxL2TscDeadlineLayout.size));
  readonly tsc = new U64();

  rdtsc(out: U64): void {
    out.set(this.tsc);
  }

  /** The state as the recordings write it. */
  get out(): Row {
    const { deadline, hasDeadline, lastDeadline, hasLastDeadline } = this.tscDeadline;
    return {
      d: hasDeadline ? decimal(deadline) : null,
      last: hasLastDeadline ? decimal(lastDeadline) : null,
      hw: decimal(this.deadlinePage.deadline),
      upd: this.deadlinePage.updateDeadline & UPDATE_DEADLINE,
    };
  }
}

function replayConversion(row: Row): string | null {
  const scale = new TscScale(frequency(row));
  const ticks = new U64();
  scale.toTicks(quantity(row, 'ref'), ticks);
  return difference('conv', { scale: scale.scale.toString(), tsc: decimal(ticks) }, { scale: row['scale'], tsc: row['tsc'] });
}

/** The order by which the service keeps the earlier of two deadlines. */
function replayOrder(row: Row): string | null {
  return difference('is_before', { before: quantity(row, 'a').isBefore(quantity(row, 'b')) }, { before: row['before'] });
}

/** One sequence's VP, told what the loop would tell the service. */
class RecordedSequence {
  readonly #service: TscDeadlineService;
  readonly #vp = new RecordedVp();

  constructor(tscFrequency: number) {
    this.#service = new TscDeadlineService(tscFrequency);
  }

  step(op: string, step: Row): Row | null {
    switch (op) {
      case 'clear':
        this.#service.clearDeadline(this.#vp);
        return {};
      case 'update':
        this.#vp.tsc.set(quantity(step, 'tsc'));
        this.#service.updateDeadline(this.#vp, quantity(step, 'now'), quantity(step, 'next'));
        return {};
      case 'end':
        this.#service.endLowerVtlRun(this.#vp);
        return {};
      default:
        return null;
    }
  }

  state(): Row {
    return this.#vp.out;
  }
}

/**
 * Replays one row of `tdx_deadline.jsonl` through the TSC deadline service. Null when every field of every step agrees, else one line that names step and
 * field, or says what is malformed about the row.
 */
export function replayTdxDeadline(row: unknown): string | null {
  return replay(row, (known) => {
    switch (text(known, 'kind')) {
      case 'conv':
        return replayConversion(known);
      case 'is_before':
        return replayOrder(known);
      case 'seq':
        return replaySteps(known, new RecordedSequence(frequency(known)));
      default:
        throw new MalformedRow('kind is none of conv, is_before, seq');
    }
  });
}
