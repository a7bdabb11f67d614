/** Comparison of what a processor did with what was recorded. */
import { CodeMode, createInstruction, decode } from '../../src/decode/index.js';
import { undefinedFlags } from '../../src/emulate/undefined-flags.js';
import type { KnownDifference } from './known-differences.js';
import { recordedMemory } from './recording.js';
import type { RecordedCase, RecordedFault } from './recording.js';

/** RFLAGS without TF and RF, which a recording cannot show. */
const COMPARED = 0x3e_feffn;

/** What is compared. */
export interface Found {
  readonly fault: RecordedFault | undefined;
  readonly registers: readonly bigint[];
  readonly flags: bigint;
  readonly rip: bigint;
  readonly memory: Uint8Array;
  readonly bases?: readonly bigint[];
  readonly selectors?: readonly number[];
}

const instruction = createInstruction();
const pristine = recordedMemory();

/** The data that a case begins with. */
export function memoryBefore(one: RecordedCase): Uint8Array {
  const memory = pristine.slice();
  for (const [at, bytes] of one.patches) memory.set(bytes, at);
  return memory;
}

/** A null selector loses its RPL when the kernel returns to user mode, on its way to the recorder (SDM volume 2, IRET). */
function asReturned(selector: number): number {
  return selector <= 3 ? 0 : selector;
}

function words(fault: RecordedFault | undefined): string {
  return fault === undefined ? 'no fault' : `#${fault.vector}(${fault.errorCode.toString(16)}) ${fault.cr2.toString(16)}`;
}

/** What was done otherwise than recorded, in words; undefined if nothing. */
function difference(one: RecordedCase, found: Found, mode: CodeMode): string | undefined {
  decode(one.code, 0, one.code.length, mode, instruction);
  const flags = one.fault === undefined ? COMPARED & ~undefinedFlags(instruction, one.registers[1]!) : COMPARED;
  const differences: string[] = [];
  const compare = (name: string, a: unknown, b: unknown): void => {
    if (a !== b) differences.push(`${name} ${typeof a === 'bigint' ? a.toString(16) : a}, not ${typeof b === 'bigint' ? b.toString(16) : b}`);
  };
  compare('fault', words(found.fault), words(one.fault));
  const count = mode === CodeMode.Bits64 ? 16 : 8;
  for (let i = 0; i < count; i++) compare(`register ${i}`, found.registers[i]!, one.registersAfter[i]!);
  compare('flags', found.flags & flags, one.flagsAfter & flags);
  compare('rip', found.rip, one.ripAfter);
  if (found.bases !== undefined) compare('bases', found.bases.join(), [one.fsBaseAfter, one.gsBaseAfter].join());
  if (found.selectors !== undefined) compare('DS ES FS GS', found.selectors.map(asReturned).join(), one.selectorsAfter.join());
  const expected = memoryBefore(one);
  if (one.changed !== undefined) expected.set(one.changed[1], one.changed[0]);
  if (Buffer.compare(found.memory, expected) !== 0) compare('memory at', found.memory.findIndex((byte, at) => byte !== expected[at]), -1);
  if (differences.length === 0) return undefined;
  return `${one.form} [${Array.from(one.code, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}]: ${differences.join('; ')}`;
}

/** Compares outcomes with the recording: what differs beyond the known differences, and how many cases each of those has. */
export class Comparison {
  readonly unexpected: string[] = [];
  readonly known = new Map<KnownDifference, number>();
  equal = 0;
  readonly #known: readonly KnownDifference[];
  readonly #mode: CodeMode;

  constructor(known: readonly KnownDifference[], mode: CodeMode) {
    this.#known = known;
    this.#mode = mode;
  }

  add(one: RecordedCase, found: Found): void {
    const text = difference(one, found, this.#mode);
    if (text === undefined) {
      this.equal++;
      return;
    }
    const raised = found.fault?.vector ?? -1;
    const known = this.#known.find(({ vector, applies }) => applies(instruction) && (vector === undefined || vector === raised));
    if (known === undefined) this.unexpected.push(text);
    else this.known.set(known, (this.known.get(known) ?? 0) + 1);
  }
}
