import type { Linear } from '../code/block.js';
import { BASE_RIP, OperandKind } from '../decode/instruction.js';
import type { Instruction, Operand } from '../decode/instruction.js';
import { Segment, SEGMENT_SIZE, StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { joinHalves } from '../processor/registers.js';

const carry64 = new Int32Array(2);

/** Adds two 64-bit values given in halves, modulo 2^64, into `carry64`. */
function accumulate(lo: number, hi: number): void {
  const sum = (carry64[0]! >>> 0) + (lo >>> 0);
  carry64[0] = sum | 0;
  carry64[1] = (carry64[1]! + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
}

/** The linear address of an instruction's memory operand, segment base included. */
export function operandAddress(core: Core, instruction: Instruction): Linear {
  const { registers } = core;
  const { base, index, scale, segment } = instruction;
  carry64[0] = instruction.dispLo;
  carry64[1] = instruction.dispHi;
  if (base === BASE_RIP) {
    accumulate(registers.lo(StateOffset.rip), registers.hi(StateOffset.rip));
    accumulate(instruction.length, 0);
  } else if (base >= 0) accumulate(registers.gprLo(base), registers.gprHi(base));
  if (index >= 0) {
    const lo = registers.gprLo(index);
    const hi = registers.gprHi(index);
    accumulate(lo << scale, scale === 0 ? hi : (hi << scale) | (lo >>> (32 - scale)));
  }
  if (instruction.addressSize === 4) carry64[1] = 0;
  if (segment === Segment.fs || segment === Segment.gs) {
    const at = StateOffset.segments + segment * SEGMENT_SIZE + 8;
    accumulate(registers.lo(at), registers.hi(at));
  }
  return joinHalves(carry64[0]!, carry64[1]!);
}

/** Writes a general register as an instruction of the operand size does: 4 bytes clear the upper half. */
export function writeRegister(core: Core, register: number, size: number, lo: number, hi: number): void {
  const { registers } = core;
  if (size === 8) registers.setGpr(register, lo, hi);
  else if (size === 4) registers.setGpr(register, lo, 0);
  else {
    const mask = size === 2 ? 0xffff : 0xff;
    registers.setGpr(register, (registers.gprLo(register) & ~mask) | (lo & mask), registers.gprHi(register));
  }
}

/** The low 16 bits of a register or memory operand. */
export function readWord(core: Core, instruction: Instruction, operand: Operand): number {
  if (operand.kind === OperandKind.Mem) return core.read16(operandAddress(core, instruction), core.mmu.mode);
  return core.registers.gprLo(operand.reg) & 0xffff;
}

/** Stores a selector-like value: 2 bytes to memory, zero-extended to the operand size in a register. */
export function writeWord(core: Core, instruction: Instruction, operand: Operand, value: number): void {
  if (operand.kind === OperandKind.Mem) core.writeSized(operandAddress(core, instruction), 2, value, 0, core.mmu.mode);
  else writeRegister(core, operand.reg, instruction.operandSize, value, 0);
}

/** #GP(0) outside ring 0. */
export function requireRing0(core: Core): void {
  if (core.registers.cpl !== 0) core.raise(Vector.gp, 0);
}
