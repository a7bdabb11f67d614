import { CodeMode, DecodeStatus, Op, OperandKind, createInstruction, decode } from '../../src/decode/index.js';
import { OPCODE_MAP_64 } from '../../src/decode/opcode-map-64.js';
import type { OpcodeForm } from '../../src/decode/opcode-map-64.js';
import { COMPUTATIONS } from '../../src/emulate/computations.js';
import { HANDLERS } from '../../src/emulate/stack-and-branches.js';
import { DATA, PAGE, WRITABLE_SIZE } from './address-map.js';

const ALL = (1n << 64n) - 1n;

/** A seeded source of operands, pointers and choices (xorshift). */
export class Random {
  #state: bigint;

  constructor(seed: bigint) {
    this.#state = seed;
  }

  next64(): bigint {
    this.#state ^= (this.#state << 13n) & ALL;
    this.#state ^= this.#state >> 7n;
    this.#state ^= (this.#state << 17n) & ALL;
    return this.#state;
  }

  below(n: number): number {
    return Number(this.next64() % BigInt(n));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** An operand that finds edges. */
  value(): bigint {
    const bit = 1n << BigInt(this.below(64));
    return this.pick([this.next64(), BigInt.asUintN(64, BigInt(this.below(40) - 20)), bit, bit - 1n, BigInt.asUintN(64, -bit), BigInt(this.below(3))]);
  }

  /** A pointer, mostly well inside the data, sometimes at a seam between pages or nowhere at all. */
  pointer(): bigint {
    const seam = BigInt(PAGE * (1 + this.below(3)));
    return this.pick([DATA + BigInt(this.below(WRITABLE_SIZE)), DATA + BigInt(this.below(WRITABLE_SIZE)), DATA + seam - BigInt(this.below(10)), 0x0000_7fff_ffff_fff8n + BigInt(this.below(16))]);
  }
}

/** Not compared: port I/O, which the processor leaves to its owner. */
export const LEFT_OUT: ReadonlySet<number> = new Set<Op>([Op.In, Op.Out]);
const EMULATED: ReadonlySet<number> = new Set<Op>(
  [...COMPUTATIONS.keys(), ...HANDLERS.keys(), Op.Imul, Op.Movs, Op.Cmps, Op.Stos, Op.Lods, Op.Scas].filter((op) => !LEFT_OUT.has(op)),
);
const FORMS = OPCODE_MAP_64.filter((form) => EMULATED.has(form.op) && !/FS|GS/.test(form.operands));
const instruction = createInstruction();

/** Bytes of some instruction of a form. */
function randomCode(form: OpcodeForm, random: Random): Uint8Array {
  const bytes: number[] = [];
  for (const [prefix, odds] of [[0x66, 4], [0x67, 8], [0x64, 12], [0x65, 12], [0xf0, 10], [0xf2, 8], [0xf3, 8]] as const) {
    if (random.below(odds) === 0) bytes.push(prefix);
  }
  const mandatory = /\b(66|F2|F3)\b/.exec(form.match)?.[1];
  if (mandatory !== undefined) bytes.push(Number.parseInt(mandatory, 16));
  if (random.below(2) === 0) bytes.push(0x40 | random.below(16));
  if (form.opcode > 0xffff) bytes.push(0x0f, 0x38);
  else if (form.opcode > 0xff) bytes.push(0x0f);
  bytes.push(form.opcode & 0xff);
  const whole = /=(\w\w)/.exec(form.match)?.[1];
  const reg = /\/(\d)/.exec(form.match)?.[1];
  if (whole !== undefined) bytes.push(Number.parseInt(whole, 16));
  else if (reg !== undefined || /\b[EGM]/.test(form.operands)) bytes.push(reg === undefined ? random.below(256) : (random.below(256) & 0xc7) | (Number(reg) << 3));
  // Bytes behind the opcode are displacements and immediates: small ones keep pointers inside the data.
  const small = random.below(4) > 0;
  while (bytes.length < 15) bytes.push(small && bytes.length % 4 !== 0 ? 0 : random.below(256));
  return Uint8Array.from(bytes);
}

/** The bytes of some instruction whose outcome the architecture defines, given CL; undefined when the dice gave none. */
export function definedCode(random: Random, cl: bigint): Uint8Array | undefined {
  const form = random.pick(FORMS);
  const bytes = randomCode(form, random);
  if (decode(bytes, 0, bytes.length, CodeMode.Bits64, instruction) !== DecodeStatus.Ok || instruction.op !== form.op) return undefined;
  const { op, operandSize, operands, length } = instruction;
  if (op === Op.Bswap && operandSize === 2) return undefined;
  if ((op === Op.Shld || op === Op.Shrd) && operandSize === 2) {
    const count = operands[2].kind === OperandKind.Imm ? instruction.immLo : Number(cl & 0xffn);
    if ((count & 31) > 16) return undefined;
  }
  return bytes.slice(0, length);
}
