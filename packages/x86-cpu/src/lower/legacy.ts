import { OperandKind } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment } from '../memory/layout.js';
import type { Size } from '../microop/flags.js';
import { BEYOND_LIMIT, Temporary } from './builder.js';
import type { BlockBuilder } from './builder.js';
import type { Lowerings } from './lowering.js';

/** What 16- and 32-bit code does otherwise than 64-bit code: the stack lies in a segment, and jump targets have the operand size and a limit. */
export const legacy: Lowerings = new Map();

const RSP = 4;
const RBP = 5;

/** Puts the stack offset `distance` bytes from a register into `Temporary.stack`, as wide as the stack pointer is. */
function stackOffset(b: BlockBuilder, register: number, distance: number): number {
  const offset = b.temporary(Temporary.stack);
  if (b.mode.stackSize === 4) b.emit('lea4.base', offset, b.register(register), distance);
  else {
    b.emit('lea8.base', offset, b.register(register), distance);
    b.emit('zero2.8', offset, offset);
  }
  return offset;
}

/** Slot of the linear address of a stack offset. */
function stackAddress(b: BlockBuilder, offset: number, size: Size, write: boolean): number {
  if (b.isFlat(Segment.ss)) return offset;
  const address = b.temporary(Temporary.stackAddress);
  b.throughSegment(address, offset, Segment.ss, size, write);
  return address;
}

function moveStack(b: BlockBuilder, offset: number): void {
  b.emit(`move${b.mode.stackSize}`, b.register(RSP), offset);
}

function push(b: BlockBuilder, size: Size, value: number): void {
  const offset = stackOffset(b, RSP, -size);
  b.emit(`store${size}.base`, stackAddress(b, offset, size, true), 0, value);
  moveStack(b, offset);
}

/** Loads what lies on top of the stack into `Temporary.second`, whatever becomes of the pointer. */
function top(b: BlockBuilder, register: number, size: Size): number {
  const value = b.temporary(Temporary.second);
  b.emit(`load${size}.base`, value, stackAddress(b, stackOffset(b, register, 0), size, false), 0);
  return value;
}

/** Moves the stack pointer `distance` bytes from a register. */
function moveStackBy(b: BlockBuilder, register: number, distance: number): void {
  moveStack(b, stackOffset(b, register, distance));
}

legacy.set(Op.Push, (b) => {
  const { operands, operandSize } = b.instruction;
  const size = b.sizeOf(operandSize);
  push(b, size, b.value(operands[0], size));
});

legacy.set(Op.Pop, (b) => {
  const { instruction } = b;
  const { operands, operandSize, base, dispLo } = instruction;
  const size = b.sizeOf(operandSize);
  const value = top(b, RSP, size);
  if (operands[0].kind !== OperandKind.Mem) {
    moveStackBy(b, RSP, size);
    b.emit(`move${size}`, b.slot(operands[0]), value);
    return;
  }
  // The address is computed after the stack pointer was incremented (SDM volume 2, POP); that itself changes last.
  if (base === RSP) instruction.dispLo = (dispLo + size) | 0;
  const [slot, displacement] = b.baseAddress();
  instruction.dispLo = dispLo;
  b.emit(`store${size}.base`, slot!, displacement!, value);
  moveStackBy(b, RSP, size);
});

legacy.set(Op.Pushf, (b) => {
  const flags = b.temporary(Temporary.first);
  b.ready();
  b.emit('readflags', flags);
  push(b, b.sizeOf(b.instruction.operandSize), flags);
});

legacy.set(Op.Leave, (b) => {
  const size = b.sizeOf(b.instruction.operandSize);
  const value = top(b, RBP, size);
  moveStackBy(b, RBP, size);
  b.emit(`move${size}`, b.register(RBP), value);
});

/** Checks a jump target of the operand size and puts it into a slot of its own. */
function checkTarget(b: BlockBuilder, value: number): number {
  const target = b.temporary(Temporary.target);
  b.emit(`target${b.instruction.operandSize}`, target, value, b.number(b.mode.limit));
  return target;
}

legacy.set(Op.Call, (b) => {
  const { operands, operandSize } = b.instruction;
  const size = b.sizeOf(operandSize);
  const back = b.number(b.next);
  if (operands[0].kind === OperandKind.Rel) {
    const target = b.branchTarget();
    if (b.targets[target] !== BEYOND_LIMIT) push(b, size, back);
    b.emit('goto', target);
    return;
  }
  const target = checkTarget(b, b.value(operands[0], size));
  push(b, size, back);
  b.emit('jump', target);
});

legacy.set(Op.Jmp, (b) => {
  const { operands, operandSize } = b.instruction;
  if (operands[0].kind === OperandKind.Rel) b.emit('goto', b.branchTarget());
  else b.emit('jump', checkTarget(b, b.value(operands[0], b.sizeOf(operandSize))));
});

legacy.set(Op.Ret, (b) => {
  const { operandSize, operandCount, immLo } = b.instruction;
  const size = b.sizeOf(operandSize);
  const target = checkTarget(b, top(b, RSP, size));
  moveStackBy(b, RSP, size + (operandCount > 0 ? immLo : 0));
  b.emit('jump', target);
});
