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

/** What a form's `match` says. */
interface Match {
  readonly prefixes: readonly boolean[];
  /** ModRM.reg, or the whole ModRM byte; −1 for any. */
  readonly reg: number;
  readonly whole: number;
  /** ModRM.rm must be memory; it must be a register. */
  readonly memory: boolean;
  readonly register: boolean;
  /** There is something that it does not match. */
  readonly narrow: boolean;
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
  return { prefixes, reg, whole, memory, register, narrow: named.length > 0 || reg >= 0 || whole >= 0 || memory || register };
}

/** Writes a form wherever it matches into the 256 places of one prefix. */
function place(form: number, { reg, whole, memory, register }: Match, into: Uint16Array): void {
  for (let mod = 0; mod < 4; mod++) {
    if (mod === 3 ? memory : register) continue;
    const first = mod * 64 + (reg < 0 ? 0 : reg * 8);
    const end = reg < 0 ? first + 64 : first + 8;
    if (whole < 0) into.fill(form, first, end);
    else if (whole >= first && whole < end) into[whole] = form;
  }
}

/** A selector of the forms in `list`, of which the first that matches counts. */
function selectorOf(list: readonly number[], matches: readonly Match[]): Uint16Array {
  const selector = new Uint16Array(SELECTOR_SIZE);
  for (const form of list.toReversed()) {
    const match = matches[form]!;
    for (const [prefix, accepted] of match.prefixes.entries()) if (accepted) place(form + 1, match, selector.subarray(prefix * 256, prefix * 256 + 256));
  }
  return selector;
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

/** Compiles an opcode map. */
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
  const selectors: Uint16Array[] = [];
  for (const [index, list] of byEntry) {
    const modrm = list.some((i) => encodings[i]!.some((operand) => MODRM_PLACES.includes(operand.place)) || /[/=]|mem|reg/.test(forms[i]!.match));
    const kind = modrm ? Entry.ModRm : 0;
    if (list.length === 1 && !matches[list[0]!]!.narrow) {
      entries[index] = (list[0]! + 1) | kind;
      continue;
    }
    entries[index] = selectors.length | Entry.Selector | kind;
    selectors.push(selectorOf(list, matches));
  }

  const count = forms.length + 1;
  const table = {
    entries,
    selectors: new Uint16Array(selectors.length * SELECTOR_SIZE),
    op: new Uint16Array(count),
    flags: new Uint8Array(count),
    immediate: new Uint8Array(count),
    operandCount: new Uint8Array(count),
    operands: new Uint16Array(3 * count),
  };
  for (const [number, selector] of selectors.entries()) table.selectors.set(selector, number * SELECTOR_SIZE);
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
