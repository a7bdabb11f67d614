/** From decoded instructions to micro-operations. */
import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { arithmetic } from './alu.js';
import { bits } from './bits.js';
import { controls } from './control.js';
import type { Lowering } from './lowering.js';
import { moves } from './move.js';

export { BlockBuilder } from './builder.js';
export { endsBlock, isRepeated } from './lowering.js';

const lowerings = new Map<Op, Lowering>([...arithmetic, ...bits, ...controls, ...moves]);

/** How to lower an instruction, or undefined if it is one of the system instructions. */
export function loweringOf(instruction: Instruction): Lowering | undefined {
  const first = instruction.operands[0];
  if ((instruction.op === Op.Push || instruction.op === Op.Pop) && first.kind === OperandKind.SegReg) return undefined;
  if (instruction.op === Op.Enter && (instruction.imm2 % 32 !== 0 || instruction.operandSize !== 8)) return undefined;
  return lowerings.get(instruction.op);
}
