import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';

const READERS: ReadonlySet<number> = new Set([
  Op.Adc, Op.Sbb, Op.Rcl, Op.Rcr, Op.Jcc, Op.Setcc, Op.Cmovcc, Op.Pushf, Op.Lahf, Op.Cmc, Op.Loope, Op.Loopne,
]);

/** Instructions that replace all six arithmetic flags, whatever their operands. */
const WRITERS: ReadonlySet<number> = new Set([
  Op.Add, Op.Or, Op.Adc, Op.Sbb, Op.And, Op.Sub, Op.Xor, Op.Cmp, Op.Test, Op.Neg, Op.Mul, Op.Imul, Op.Xadd, Op.Cmpxchg,
  Op.Bsf, Op.Bsr, Op.Popcnt, Op.Tzcnt, Op.Lzcnt,
]);

const SHIFTS: ReadonlySet<number> = new Set([Op.Shl, Op.Shr, Op.Sar, Op.Shld, Op.Shrd]);

const FAULTERS: ReadonlySet<number> = new Set([
  Op.Push, Op.Pop, Op.Pushf, Op.Cli, Op.Call, Op.Ret, Op.Leave, Op.Enter, Op.Div, Op.Idiv, Op.Xlat,
  Op.Movs, Op.Cmps, Op.Stos, Op.Lods, Op.Scas,
]);

/** Memory operands of these are not accessed. */
const ADDRESS_ONLY: ReadonlySet<number> = new Set([Op.Lea, Op.Nop, Op.Prefetch]);

/** The shift count of an immediate form, masked as the processor does; -1 if it is in CL. */
export function immediateCount(instruction: Instruction): number {
  const count = instruction.operands[instruction.operandCount - 1]!;
  if (count.kind !== OperandKind.Imm) return -1;
  return instruction.immLo & (instruction.operands[0].size === 8 ? 63 : 31);
}

function replacesFlags(instruction: Instruction): boolean {
  return WRITERS.has(instruction.op) || (SHIFTS.has(instruction.op) && immediateCount(instruction) > 0);
}

/** Whether the instruction can fault, so that the state before it must be complete. */
export function canFault(instruction: Instruction): boolean {
  if (FAULTERS.has(instruction.op)) return true;
  if (ADDRESS_ONLY.has(instruction.op)) return false;
  for (let i = 0; i < instruction.operandCount; i++) {
    if (instruction.operands[i]!.kind === OperandKind.Mem) return true;
  }
  return false;
}

/**
 * For each of `count` instructions, whether nobody sees the flags it leaves: they are replaced further on before
 * anything reads them, can fault, or ends the block. Instructions that change some flags only count as looking at the
 * others when somebody looks at theirs.
 */
export function findDeadFlags(instructions: readonly Instruction[], count: number): boolean[] {
  const dead: boolean[] = [];
  let seen = true;
  for (let i = count - 1; i >= 0; i--) {
    const instruction = instructions[i]!;
    dead[i] = !seen;
    if (replacesFlags(instruction)) seen = false;
    if (READERS.has(instruction.op) || canFault(instruction)) seen = true;
  }
  return dead;
}
