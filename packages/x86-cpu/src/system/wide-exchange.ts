import { Op } from '../decode/op.js';
import { StateOffset } from '../memory/layout.js';
import { PageAccess } from '../paging/index.js';
import { Vector } from '../processor/fault.js';
import { operandAddress } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** CMPXCHG8B, CMPXCHG16B, and ENTER with nested frames: rare enough to need no micro-operations. */
export const wideExchange: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;

wideExchange.set(Op.Cmpxchg8b, (core, instruction) => {
  const { registers } = core;
  const wide = instruction.operands[0].size === 16;
  const at = operandAddress(core, instruction);
  if (wide && (at & 15) !== 0) core.raise(Vector.gp, 0);
  // Both halves are read with the rights of a write: the location is always written.
  const access = core.mmu.mode | PageAccess.Write;
  if (!wide) {
    core.read64(at, access);
    const equal = core.lo === registers.gprLo(RAX) && core.hi === registers.gprLo(RDX);
    const { lo, hi } = core;
    if (equal) core.write64(at, registers.gprLo(RBX), registers.gprLo(RCX), access);
    else {
      core.write64(at, lo, hi, access);
      registers.setGpr(RAX, lo, 0);
      registers.setGpr(RDX, hi, 0);
    }
    core.setZero(equal);
    return Outcome.Done;
  }
  core.read64(at, access);
  const { lo: lo0, hi: hi0 } = core;
  core.read64(at + 8, access);
  const { lo: lo1, hi: hi1 } = core;
  const equal = lo0 === registers.gprLo(RAX) && hi0 === registers.gprHi(RAX) && lo1 === registers.gprLo(RDX) && hi1 === registers.gprHi(RDX);
  if (equal) {
    core.write128(at, [registers.gprLo(RBX), registers.gprHi(RBX), registers.gprLo(RCX), registers.gprHi(RCX)], access);
  } else {
    core.write128(at, [lo0, hi0, lo1, hi1], access);
    registers.setGpr(RAX, lo0, hi0);
    registers.setGpr(RDX, lo1, hi1);
  }
  core.setZero(equal);
  return Outcome.Done;
});

wideExchange.set(Op.Enter, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize === 2 ? 2 : 8;
  const access = core.mmu.mode;
  const level = instruction.imm2 % 32;
  let stack = registers.gpr(RSP) - size;
  core.writeSized(stack, size, registers.gprLo(RBP), registers.gprHi(RBP), access);
  const frame = stack;
  for (let i = 1; i < level; i++) {
    core.readSized(registers.gpr(RBP) - i * size, size, access);
    stack -= size;
    core.writeSized(stack, size, core.lo, core.hi, access);
  }
  if (level > 0) {
    stack -= size;
    core.writeSized(stack, size, frame | 0, Math.floor(frame / 2 ** 32), access);
  }
  stack -= instruction.immLo;
  // Nothing is written there, but it must be writable (SDM volume 2, ENTER).
  core.readSized(stack, size, access | PageAccess.Write);
  if (size === 8) registers.setNumber(StateOffset.gpr + 8 * RBP, frame);
  else registers.setGpr(RBP, (registers.gprLo(RBP) & ~0xffff) | (frame & 0xffff), registers.gprHi(RBP));
  registers.setNumber(StateOffset.gpr + 8 * RSP, stack);
  return Outcome.Done;
});
