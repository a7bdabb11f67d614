import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Flag, STATUS_FLAGS } from './arithmetic.js';

/** A shift's or rotate's masked count, given CL. */
function countOf(instruction: Instruction, cl: bigint): number {
  const last = instruction.operands[instruction.operandCount - 1]!;
  const count = last.kind === OperandKind.Imm ? instruction.immLo : Number(cl & 0xffn);
  return count & (instruction.operandSize === 8 ? 63 : 31);
}

/**
 * The status flags that the architecture leaves undefined after an instruction, as RFLAGS bits: what a comparison of two processors must not look at.
 * SDM volume 2, "Flags Affected" of each instruction. `cl` is the count register before the instruction.
 */
export function undefinedFlags(instruction: Instruction, cl: bigint): bigint {
  const bits = instruction.operandSize * 8;
  switch (instruction.op) {
    case Op.And:
    case Op.Or:
    case Op.Xor:
    case Op.Test:
      return Flag.AF;
    case Op.Rol:
    case Op.Ror:
    case Op.Rcl:
    case Op.Rcr:
      return countOf(instruction, cl) > 1 ? Flag.OF : 0n;
    case Op.Shl:
    case Op.Shr:
    case Op.Sar: {
      const count = countOf(instruction, cl);
      if (count === 0) return 0n;
      // SAR shifts in copies of the sign: its CF is defined for every count.
      const carry = count >= bits && instruction.op !== Op.Sar ? Flag.CF : 0n;
      return Flag.AF | (count > 1 ? Flag.OF : 0n) | carry;
    }
    case Op.Shld:
    case Op.Shrd: {
      const count = countOf(instruction, cl);
      if (count === 0) return 0n;
      return count > bits ? STATUS_FLAGS : Flag.AF | (count > 1 ? Flag.OF : 0n);
    }
    case Op.Mul:
    case Op.Imul:
      return Flag.SF | Flag.ZF | Flag.AF | Flag.PF;
    case Op.Div:
    case Op.Idiv:
      return STATUS_FLAGS;
    case Op.Bt:
    case Op.Bts:
    case Op.Btr:
    case Op.Btc:
      return Flag.OF | Flag.SF | Flag.AF | Flag.PF;
    case Op.Bsf:
    case Op.Bsr:
      return STATUS_FLAGS & ~Flag.ZF;
    case Op.Tzcnt:
    case Op.Lzcnt:
      return Flag.OF | Flag.SF | Flag.AF | Flag.PF;
    case Op.Aaa:
    case Op.Aas:
      return Flag.OF | Flag.SF | Flag.ZF | Flag.PF;
    case Op.Aam:
    case Op.Aad:
      return Flag.OF | Flag.AF | Flag.CF;
    case Op.Daa:
    case Op.Das:
      return Flag.OF;
    default:
      return 0n;
  }
}
