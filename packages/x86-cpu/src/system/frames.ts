import { Op } from '../decode/op.js';
import { PageAccess } from '../paging/index.js';
import { highHalf, lowHalf } from '../processor/registers.js';
import { segmentAddress, writeRegister } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';
import { Segment } from '../memory/layout.js';

/** ENTER with nested frames, and in 16- and 32-bit code with any; PUSHA and POPA. */
export const frames: SystemInstructions = new Map();

const RSP = 4;
const RBP = 5;

frames.set(Op.Enter, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize;
  const { stackSize } = core.mode;
  const level = instruction.imm2 % 32;
  const stack = core.stack.open();
  stack.push(size, registers.gprLo(RBP), registers.gprHi(RBP));
  const frame = stack.offset;
  const cut = (value: number): number => (stackSize === 8 ? value : stackSize === 4 ? value >>> 0 : value & 0xffff);
  let display = cut(registers.gpr(RBP));
  for (let i = 1; i < level; i++) {
    display = cut(display - size);
    core.readSized(segmentAddress(core, Segment.ss, display, size, false), size, core.mmu.mode);
    stack.push(size, core.lo, core.hi);
  }
  if (level > 0) stack.pushNumber(size, frame);
  stack.release(-instruction.immLo);
  // Nothing is written there, but it must be writable (SDM volume 2, ENTER).
  core.readSized(segmentAddress(core, Segment.ss, stack.offset, size, true), size, core.mmu.mode | PageAccess.Write);
  writeRegister(core, RBP, size, lowHalf(frame), highHalf(frame));
  stack.commit();
  return Outcome.Done;
});

frames.set(Op.Pusha, (core, instruction) => {
  const size = instruction.operandSize;
  const stack = core.stack.open();
  for (let register = 0; register < 8; register++) stack.push(size, core.registers.gprLo(register));
  stack.commit();
  return Outcome.Done;
});

const popped = new Int32Array(8);

// What was pushed of SP is dropped.
frames.set(Op.Popa, (core, instruction) => {
  const size = instruction.operandSize;
  const stack = core.stack.open();
  for (let register = 7; register >= 0; register--) popped[register] = stack.popLow(size);
  for (let register = 0; register < 8; register++) if (register !== RSP) writeRegister(core, register, size, popped[register]!, 0);
  stack.commit();
  return Outcome.Done;
});
