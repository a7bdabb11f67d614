import { Rep } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import type { BlockBuilder } from './builder.js';

/** Appends the micro-operations of the builder's instruction. */
export type Lowering = (b: BlockBuilder) => void;
export type Lowerings = Map<Op, Lowering>;

const TRANSFERS: ReadonlySet<number> = new Set([
  Op.Jmp, Op.Jcc, Op.Call, Op.Ret, Op.Loop, Op.Loope, Op.Loopne, Op.Jrcxz,
]);
const STRINGS: ReadonlySet<number> = new Set([Op.Movs, Op.Stos, Op.Lods, Op.Cmps, Op.Scas]);

export function isString(instruction: Instruction): boolean {
  return STRINGS.has(instruction.op);
}

/** Repeated string instructions are blocks of their own, because each iteration is a stop point. */
export function isRepeated(instruction: Instruction): boolean {
  return instruction.rep !== Rep.None && STRINGS.has(instruction.op);
}

/** Whether nothing can follow the instruction in its block. */
export function endsBlock(instruction: Instruction): boolean {
  return TRANSFERS.has(instruction.op) || isRepeated(instruction);
}
