/** Reading a recording's row, and saying in one line where ours differs. */
import { U64, u64ToBigInt } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** A row that is not of the recordings' schema. */
export class MalformedRow extends Error {}

/** An object of a row. */
export type Row = Readonly<Record<string, unknown>>;

/** `value` as an object; `what` names it in the error. */
export function asRow(value: unknown, what: string): Row {
  if (!isRow(value)) throw new MalformedRow(`${what} is not an object`);
  return value;
}

/** The steps of a row, at least one. */
export function stepsOf(row: Row): readonly Row[] {
  const { steps } = row;
  if (!Array.isArray(steps) || steps.length === 0) throw new MalformedRow('steps is not a list of steps');
  return steps.map((step, index) => asRow(step, `step ${index}`));
}

/** A field that holds a string. */
export function text(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== 'string') throw new MalformedRow(`${name} is not a string`);
  return value;
}

/** A field that holds an integer from 0 to `max`, at most 32 bits. */
export function integer(row: Row, name: string, max = 0xffffffff): number {
  const value = row[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) throw new MalformedRow(`${name} is not an integer from 0 to ${max}`);
  return value;
}

/** A field that holds true or false. */
export function flag(row: Row, name: string): boolean {
  const value = row[name];
  if (typeof value !== 'boolean') throw new MalformedRow(`${name} is neither true nor false`);
  return value;
}

/** A field that holds a 64-bit quantity: a decimal string. */
export function quantity(row: Row, name: string): U64 {
  const value = text(row, name);
  if (!/^\d{1,20}$/.test(value) || BigInt(value) >> 64n !== 0n) throw new MalformedRow(`${name} is not a 64-bit decimal`);
  return U64.of(BigInt(value));
}

/** A 64-bit quantity as the recordings write it. */
export function decimal(value: ReadonlyU64): string {
  return u64ToBigInt(value).toString();
}

/**
 * The first field of `actual` that is recorded otherwise, or not at all, in one line that begins with `where`; null when all agree. Objects inside are
 * compared field by field, and may have no recorded field that `actual` lacks; of the outermost, what `actual` does not name is the step's input.
 */
export function difference(where: string, actual: Row, recorded: Row): string | null {
  for (const [name, value] of Object.entries(actual)) {
    const other = recorded[name];
    if (isRow(value) && isRow(other) && Object.keys(other).every((key) => key in value)) {
      const within = difference(`${where}: ${name}`, value, other);
      if (within !== null) return within;
    } else if (canonical(value) !== canonical(other)) {
      return `${where}: ${name} is ${canonical(value)}, recorded ${canonical(other)}`;
    }
  }
  return null;
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function canonical(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** One recorded run of something that is told steps and asked for its whole state after each. */
export interface SteppedRecording {
  /** Does a step and gives what it is recorded to have answered; null for an unknown step. */
  step(op: string, step: Row): Row | null;
  /** What the recording has as `out`. */
  state(): Row;
}

/** Replays the steps of a row: the first field of the first step that differs, in one line; null when all agree. */
export function replaySteps(row: Row, recording: SteppedRecording): string | null {
  for (const [index, step] of stepsOf(row).entries()) {
    const op = text(step, 'op');
    const answer = recording.step(op, step);
    if (answer === null) throw new MalformedRow(`step ${index}: no such step: ${op}`);
    const found = difference(`step ${index} (${op})`, { ...answer, out: recording.state() }, step);
    if (found !== null) return found;
  }
  return null;
}

/** Runs a replay of a parsed line. That the row is not of the schema becomes the line `malformed row: …`; any other error is the model's own, and passes. */
export function replay(row: unknown, body: (row: Row) => string | null): string | null {
  try {
    return body(asRow(row, 'the row'));
  } catch (error) {
    if (error instanceof MalformedRow) return `malformed row: ${error.message}`;
    throw error;
  }
}
