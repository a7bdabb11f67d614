/** From decoded instructions to micro-operations. */
import { OperandKind } from '../decode/instruction.js';
import { LONG_MODE } from '../code/execution-mode.js';
import type { ExecutionMode } from '../code/execution-mode.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { arithmetic } from './alu.js';
import { bits } from './bits.js';
import { controls } from './control.js';
import { legacy } from './legacy.js';
import { isString } from './lowering.js';
import type { Lowering } from './lowering.js';
import { moves } from './move.js';
import { Segment } from '../memory/layout.js';

export { BlockBuilder } from './builder.js';
export { endsBlock, isRepeated } from './lowering.js';

const lowerings = new Map<Op, Lowering>([...arithmetic, ...bits, ...controls, ...moves]);

/** How to lower an instruction, or undefined if it is one of the system instructions. */
export function loweringOf(instruction: Instruction, mode: ExecutionMode): Lowering | undefined {
  const first = instruction.operands[0];
  if ((instruction.op === Op.Push || instruction.op === Op.Pop) && first.kind === OperandKind.SegReg) return undefined;
  if (mode !== LONG_MODE) {
    if (instruction.op === Op.Enter || (isString(instruction) && !isFlatString(instruction, mode))) return undefined;
    return legacy.get(instruction.op) ?? lowerings.get(instruction.op);
  }
  if (instruction.op === Op.Enter && (instruction.imm2 % 32 !== 0 || instruction.operandSize !== 8)) return undefined;
  return lowerings.get(instruction.op);
}

/** Whether a string instruction has 32-bit addresses and segments that change nothing: only that is made of micro-operations outside 64-bit mode. */
function isFlatString(instruction: Instruction, mode: ExecutionMode): boolean {
  const source = instruction.segment >= 0 ? instruction.segment : Segment.ds;
  const both = (1 << Segment.es) | (1 << source);
  return instruction.addressSize === 4 && (mode.flat & both) === both;
}
