/**
 * Saved state as plain data: what JSON can carry without loss. Each stateful class gives its own state with `save` and takes it back with `restore`;
 * these are the forms of what JSON has no type for.
 */
import type { ReadonlyU64, U64 } from './u64.js';

/** What JSON can carry. */
export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

/** Something whose state can be saved and given to a freshly made one of the same options, which then equals the saved one in all that can ever matter. */
export interface Stateful {
  save(): Plain;
  /** Called once, on a freshly made object. @throws {StateError} for a state that cannot be read. */
  restore(state: Plain): void;
}

/** A saved state that cannot be read: not this model's, or damaged. */
export class StateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StateError';
  }
}

const hex8 = (half: number): string => (half >>> 0).toString(16).padStart(8, '0');
const U64_TEXT = /^0x([0-9a-f]{8})([0-9a-f]{8})$/;

/** A 64-bit value as `0x` and 16 hexadecimal digits. */
export const saveU64 = (value: ReadonlyU64): string => `0x${hex8(value.hi)}${hex8(value.lo)}`;

/** @throws {StateError} for anything that `saveU64` does not write. */
export function restoreU64(cell: U64, text: string): void {
  const halves = U64_TEXT.exec(text);
  if (halves === null) throw new StateError(`${JSON.stringify(text)} is not a 64-bit value`);
  cell.setParts(Number.parseInt(halves[2]!, 16), Number.parseInt(halves[1]!, 16));
}

/** A point in time that may be never: Infinity is no JSON number. */
export const saveTime = (time: number): number | null => (time === Infinity ? null : time);
export const restoreTime = (time: number | null): number => time ?? Infinity;

/** Zero bytes that end a stretch: a shorter gap costs less inside it. */
const LONGEST_GAP = 16;
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const DIGIT_CODES = Uint8Array.from(DIGITS, (digit) => digit.charCodeAt(0));
const VALUES = new Int8Array(128).fill(-1);
for (const [value, code] of DIGIT_CODES.entries()) VALUES[code] = value;
const decimal = /^(?:0|[1-9][0-9]*)$/;

/**
 * Bytes as text: their number, then each stretch that is not all zeros as `;offset,base64` (RFC 4648, without padding). Memory that is mostly zero stays
 * small.
 */
export function saveBytes(bytes: Uint8Array): string {
  const parts = [`${bytes.length}`];
  for (let first = nonZero(bytes, 0); first < bytes.length; ) {
    let end = first + 1;
    let next = nonZero(bytes, end);
    while (next < bytes.length && next - end <= LONGEST_GAP) {
      end = next + 1;
      next = nonZero(bytes, end);
    }
    parts.push(`${first},${encode(bytes.subarray(first, end))}`);
    first = next;
  }
  return parts.join(';');
}

/** Fills `into` with what was saved. @throws {StateError} for other text than `saveBytes` writes, and for another number of bytes. */
export function restoreBytes(into: Uint8Array, text: string): void {
  const [length, ...stretches] = text.split(';');
  if (length !== `${into.length}`) throw new StateError(`${into.length} bytes were to be restored, and ${JSON.stringify(length!.slice(0, 20))} are there`);
  into.fill(0);
  let end = 0;
  for (const stretch of stretches) {
    const comma = stretch.indexOf(',');
    const offset = stretch.slice(0, Math.max(0, comma));
    if (!decimal.test(offset) || Number(offset) < end) throw new StateError('saved bytes are out of order');
    end = Number(offset) + decode(stretch, comma + 1, into, Number(offset));
  }
}

function nonZero(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] === 0) at++;
  return at;
}

/** Characters handed to `String.fromCharCode` at once: few enough for any engine's limit of arguments. */
const CHUNK = 0x2000;

function encode(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  for (let at = 0, out = 0; at < bytes.length; at += 3, out += 4) {
    const group = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    for (let digit = 0; digit < 4 && out + digit < text.length; digit++) text[out + digit] = DIGIT_CODES[(group >> (18 - 6 * digit)) & 63]!;
  }
  const chunks: string[] = [];
  for (let at = 0; at < text.length; at += CHUNK) chunks.push(String.fromCharCode(...text.subarray(at, at + CHUNK)));
  return chunks.join('');
}

/** Decodes `text` from `from` on into `into` at `offset`; returns the bytes written. */
function decode(text: string, from: number, into: Uint8Array, offset: number): number {
  const digits = text.length - from;
  const bytes = Math.floor((digits * 3) / 4);
  if (bytes === 0 || digits % 4 === 1 || offset + bytes > into.length) throw new StateError('a stretch of saved bytes does not fit');
  for (let at = 0, out = 0; out < bytes; at += 4, out += 3) {
    let group = 0;
    for (let digit = 0; digit < 4; digit++) {
      const code = at + digit < digits ? text.charCodeAt(from + at + digit) : DIGIT_CODES[0]!;
      const value = code < 128 ? VALUES[code]! : -1;
      if (value < 0) throw new StateError(`saved bytes hold ${JSON.stringify(text[from + at + digit])}, which is no digit`);
      group = (group << 6) | value;
    }
    for (let byte = 0; byte < 3 && out + byte < bytes; byte++) into[offset + out + byte] = (group >> (16 - 8 * byte)) & 0xff;
  }
  return bytes;
}
