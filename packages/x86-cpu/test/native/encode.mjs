// From a form to the bytes of some instruction of it.
import { OperandKind, createInstruction, decode } from '../../dist/decode/index.js';
import { FormFlag } from '../../dist/decode/opcode-map-64.js';

const LOCK = 0xf0;
const IGNORED_SEGMENTS = [0x26, 0x2e, 0x36, 0x3e];

/** ModRM for a kind of operand: `reg` is the opcode extension or undefined. */
function modrmOf(form, random, reg) {
  const { kind } = form;
  const extension = reg ?? random.below(8);
  if (kind === 'memory') return (random.below(3) << 6) | (extension << 3) | random.below(8);
  // The high byte registers: one operand or the other, or both.
  if (kind === 'high byte') {
    const which = reg === undefined ? random.below(3) : 1;
    return 0xc0 | ((reg ?? (which === 1 ? random.below(8) : 4 + random.below(4))) << 3) | (which === 0 ? random.below(8) : 4 + random.below(4));
  }
  return 0xc0 | (extension << 3) | random.below(8);
}

/** Bytes of immediate or branch displacement. */
function immediateSize({ row }, instruction) {
  const { operands } = row;
  if (/\bI[w]b\b/.test(operands)) return 3;
  if (/\bIw\b/.test(operands)) return 2;
  if (/\bs?Ib\b|\bJb\b/.test(operands)) return 1;
  if (/\bJz\b/.test(operands)) return 4;
  if (/\bIz\b/.test(operands)) return Math.min(4, instruction.operandSize);
  if (/\bIv\b/.test(operands)) return instruction.operandSize;
  return 0;
}

/**
 * An instruction of a form, decoded: `bytes` (with its LOCK in front, legal or not), `instruction`, `length`, and where its immediate and displacement
 * lie. Undefined where the form has none with these prefixes.
 */
export function encode(form, random) {
  const { row, prefixes } = form;
  const lock = prefixes.legacy.includes(LOCK);
  const legacy = prefixes.legacy.filter((byte) => byte !== LOCK).map((byte) => (byte === 0x26 ? random.pick(IGNORED_SEGMENTS) : byte));
  const mandatory = row.match.includes('NP') ? undefined : /\b(66|F2|F3)\b/.exec(row.match)?.[1];
  if (/\b(NP|66|F2|F3)\b/.test(row.match) && legacy.some((byte) => byte === 0xf2 || byte === 0xf3)) return undefined;
  const bytes = [...legacy];
  if (mandatory !== undefined && !legacy.includes(Number.parseInt(mandatory, 16))) bytes.push(Number.parseInt(mandatory, 16));
  if (prefixes.rex === 'any') bytes.push(0x40 | random.below(8));
  if (prefixes.rex === 'w') bytes.push(0x48 | random.below(8));
  if (row.opcode > 0xffff) bytes.push(0x0f, 0x38);
  else if (row.opcode > 0xff) bytes.push(0x0f);
  bytes.push(row.opcode & 0xff);
  const whole = /=(\w\w)/.exec(row.match)?.[1];
  const reg = /\/(\d)/.exec(row.match)?.[1];
  if (whole !== undefined) bytes.push(Number.parseInt(whole, 16));
  else if (form.kind !== 'none') bytes.push(modrmOf(form, random, reg === undefined ? undefined : Number(reg)));
  while (bytes.length < 15) bytes.push(random.below(256));

  const instruction = createInstruction();
  const all = Uint8Array.from(bytes);
  if (decode(all, 0, 15, 64, instruction) !== 0 || instruction.op !== row.op) return undefined;
  if (form.kind === 'high byte' && !instruction.operands.some((operand) => operand.high8)) return undefined;
  const { length } = instruction;
  const immediate = immediateSize(form, instruction);
  const code = Uint8Array.from([...(lock ? [LOCK] : []), ...all.subarray(0, length)]);
  if (code.length > 15) return undefined;
  const memory = instruction.operands.slice(0, instruction.operandCount).find((operand) => operand.kind === OperandKind.Mem);
  return { code, instruction, memory, immediateAt: code.length - immediate, immediate, isByte: (row.flags & FormFlag.Byte) !== 0 };
}

/** Writes a little-endian number into code. */
export function put(code, at, size, value) {
  for (let i = 0; i < size; i++) code[at + i] = Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn);
}
