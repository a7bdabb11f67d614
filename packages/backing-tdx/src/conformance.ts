/** Replays recordings of the reference (`test/recordings/tdx_deadline.jsonl`) through the service guests run on. */
import { U64, UPDATE_DEADLINE, tdxL2TscDeadlineLayout, u64ToBigInt, viewOf } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { TscScale } from '@paravisor/virt-core';
import { TscDeadlineService, TscDeadlineState } from './paravisor/index.js';
import type { TscDeadlineVp } from './paravisor/index.js';

type Row = Readonly<Record<string, unknown>>;

/** A row that is not of the recordings' schema. */
class MalformedRow extends Error {}

function asRow(value: unknown, what: string): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MalformedRow(`${what} is not an object`);
  return value as Row;
}

/** A 64-bit quantity: a decimal string. */
function quantity(row: Row, name: string): U64 {
  const value = row[name];
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value) || BigInt(value) >> 64n !== 0n) throw new MalformedRow(`${name} is not a 64-bit decimal`);
  return U64.of(BigInt(value));
}

/** A frequency in Hz: an exact number. */
function frequency(row: Row): number {
  const hz = quantity(row, 'freq').toNumber();
  if (!Number.isSafeInteger(hz) || hz === 0) throw new MalformedRow('freq is no frequency');
  return hz;
}

const decimal = (value: ReadonlyU64): string => u64ToBigInt(value).toString();

/** The first field of `actual` that is recorded otherwise, or null. Every recorded field must be one of ours. */
function difference(where: string, actual: Row, recorded: Row): string | null {
  for (const name of new Set([...Object.keys(actual), ...Object.keys(recorded)])) {
    const [ours, theirs] = [actual[name], recorded[name]].map((value) => (value === undefined ? 'nothing' : JSON.stringify(value)));
    if (ours !== theirs) return `${where}: ${name} is ${ours}, recorded ${theirs}`;
  }
  return null;
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

function replaySequence(row: Row): string | null {
  const { steps } = row;
  if (!Array.isArray(steps) || steps.length === 0) throw new MalformedRow('steps is not a list of steps');
  const service = new TscDeadlineService(frequency(row));
  const vp = new RecordedVp();
  for (const [index, value] of steps.entries()) {
    const step = asRow(value, `step ${index}`);
    switch (step['op']) {
      case 'clear':
        service.clearDeadline(vp);
        break;
      case 'update':
        vp.tsc.set(quantity(step, 'tsc'));
        service.updateDeadline(vp, quantity(step, 'now'), quantity(step, 'next'));
        break;
      case 'end':
        service.endLowerVtlRun(vp);
        break;
      default:
        throw new MalformedRow(`step ${index} has no op of clear, update, end`);
    }
    const found = difference(`step ${index} (${String(step['op'])})`, vp.out, asRow(step['out'], `out of step ${index}`));
    if (found !== null) return found;
  }
  return null;
}

/**
 * Replays one row of `tdx_deadline.jsonl` through the TSC deadline service. Null when every field of every step agrees, else one line that names step and
 * field, or says what is malformed about the row.
 */
export function replayTdxDeadline(row: unknown): string | null {
  try {
    const known = asRow(row, 'the row');
    switch (known['kind']) {
      case 'conv':
        return replayConversion(known);
      case 'is_before':
        return replayOrder(known);
      case 'seq':
        return replaySequence(known);
      default:
        throw new MalformedRow('kind is none of conv, is_before, seq');
    }
  } catch (error) {
    if (error instanceof MalformedRow) return `malformed row: ${error.message}`;
    throw error;
  }
}
