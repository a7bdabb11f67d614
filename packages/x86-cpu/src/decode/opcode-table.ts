import { Immediate, OPERAND_ENCODINGS, Place } from './operand-encoding.js';
import type { OperandEncoding } from './operand-encoding.js';
import type { OpcodeForm } from './opcode-map-64.js';

/** Which mandatory prefix is in effect: the second index of a selector. */
export const MandatoryPrefix = { None: 0, Operand66: 1, RepF3: 2, RepneF2: 3 } as const;

/** First entries of the opcode maps in {@link OpcodeTable.entries}. */
export const MapStart = { OneByte: 0, TwoByte: 256, ThreeByte38: 512, ThreeByte3a: 768 } as const;

/** An entry's form or selector number, and its two kinds. */
export const Entry = { Number: 0xffff, Selector: 1 << 16, ModRm: 1 << 17 } as const;

const SELECTOR_SIZE = 4 * 256;

/** An opcode map, compiled for the decoder. Form 0 is no instruction. */
export interface OpcodeTable {
  /** By map and opcode: 0, a form, or a selector of forms; with {@link Entry.ModRm} if a ModRM byte follows. */
  readonly entries: Int32Array;
  /** A selector is 4 × 256 forms, by mandatory prefix and ModRM byte (0 where there is none). */
  readonly selectors: Uint16Array;
  /** By form. */
  readonly op: Uint16Array;
  readonly flags: Uint8Array;
  readonly immediate: Uint8Array;
  readonly operandCount: Uint8Array;
  /** By 3 × form + operand: place in the low byte, size in the high byte. */
  readonly operands: Uint16Array;
}

interface Match {
  readonly prefixes: readonly boolean[];
  readonly narrow: boolean;
  accepts(modrm: number): boolean;
}

const PREFIX_NAMES = ['NP', '66', 'F3', 'F2'];

function parseMatch(text: string, memoryOnly: boolean): Match {
  const words = text.split(' ').filter((word) => word !== '');
  const named = words.filter((word) => PREFIX_NAMES.includes(word));
  const prefixes = PREFIX_NAMES.map((name) => named.length === 0 || named.includes(name));
  let reg = -1;
  let whole = -1;
  let memory = memoryOnly;
  let register = false;
  for (const word of words) {
    if (word.startsWith('/')) reg = Number(word.slice(1));
    else if (word.startsWith('=')) whole = Number.parseInt(word.slice(1), 16);
    else if (word === 'mem') memory = true;
    else if (word === 'reg') register = true;
  }
  return {
    prefixes,
    narrow: named.length > 0 || reg >= 0 || whole >= 0 || memory || register,
    accepts: (modrm) =>
      (reg < 0 || ((modrm >> 3) & 7) === reg) &&
      (whole < 0 || modrm === whole) &&
      !(memory && modrm >= 0xc0) &&
      !(register && modrm < 0xc0),
  };
}

const MODRM_PLACES: readonly number[] = [Place.Rm, Place.Reg, Place.SegReg, Place.CtrlReg, Place.DebugReg, Place.Xmm, Place.XmmRm, Place.Mmx, Place.MmxRm];

function parseOperands(text: string): OperandEncoding[] {
  return text
    .split(' ')
    .filter((name) => name !== '')
    .map((name) => {
      const encoding = OPERAND_ENCODINGS[name];
      if (encoding === undefined) throw new Error(`no operand encoding is called ${name}`);
      return encoding;
    });
}

function entryIndex(opcode: number): number {
  if (opcode >> 8 === 0x0f38) return MapStart.ThreeByte38 + (opcode & 0xff);
  if (opcode >> 8 === 0x0f3a) return MapStart.ThreeByte3a + (opcode & 0xff);
  return (opcode >> 8 === 0x0f ? MapStart.TwoByte : MapStart.OneByte) + (opcode & 0xff);
}

/** Compiles an opcode map. Runs once, when the module loads. */
export function compileOpcodeTable(forms: readonly OpcodeForm[]): OpcodeTable {
  const byEntry = new Map<number, number[]>();
  forms.forEach((form, i) => {
    const index = entryIndex(form.opcode);
    const list = byEntry.get(index);
    if (list === undefined) byEntry.set(index, [i]);
    else list.push(i);
  });
  const encodings = forms.map((form) => parseOperands(form.operands));
  const matches = forms.map((form, i) => parseMatch(form.match, encodings[i]!.some((operand) => operand.memoryOnly)));

  const entries = new Int32Array(4 * 256);
  const selectors: number[] = [];
  for (const [index, list] of byEntry) {
    const modrm = list.some((i) => encodings[i]!.some((operand) => MODRM_PLACES.includes(operand.place)) || /[/=]|mem|reg/.test(forms[i]!.match));
    const kind = modrm ? Entry.ModRm : 0;
    if (list.length === 1 && !matches[list[0]!]!.narrow) {
      entries[index] = (list[0]! + 1) | kind;
      continue;
    }
    entries[index] = (selectors.length / SELECTOR_SIZE) | Entry.Selector | kind;
    for (let slot = 0; slot < SELECTOR_SIZE; slot++) {
      const found = list.find((i) => matches[i]!.prefixes[slot >> 8] && matches[i]!.accepts(slot & 0xff));
      selectors.push(found === undefined ? 0 : found + 1);
    }
  }

  const count = forms.length + 1;
  const table = {
    entries,
    selectors: Uint16Array.from(selectors),
    op: new Uint16Array(count),
    flags: new Uint8Array(count),
    immediate: new Uint8Array(count),
    operandCount: new Uint8Array(count),
    operands: new Uint16Array(3 * count),
  };
  forms.forEach((form, i) => {
    const operands = encodings[i]!;
    table.op[i + 1] = form.op;
    table.flags[i + 1] = form.flags;
    table.immediate[i + 1] = operands.find((operand) => operand.immediate !== Immediate.None)?.immediate ?? Immediate.None;
    table.operandCount[i + 1] = operands.length;
    operands.forEach((operand, k) => {
      table.operands[3 * (i + 1) + k] = operand.place | (operand.size << 8);
    });
  });
  return table;
}
