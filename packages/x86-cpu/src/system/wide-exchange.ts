import { Op } from '../decode/op.js';
import { PageAccess } from '../paging/index.js';
import { Vector } from '../processor/fault.js';
import { operandAddress } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** CMPXCHG8B and CMPXCHG16B: rare enough to need no micro-operations. */
export const wideExchange: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;

wideExchange.set(Op.Cmpxchg8b, (core, instruction) => {
  const { registers } = core;
  const wide = instruction.operands[0].size === 16;
  const at = operandAddress(core, instruction, true);
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
