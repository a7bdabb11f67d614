import type { Linear } from '../code/block.js';
import { LONG_MODE } from '../code/execution-mode.js';
import { BASE_RIP, OperandKind, segmentOf } from '../decode/instruction.js';
import type { Instruction, Operand } from '../decode/instruction.js';
import { Segment, SEGMENT_SIZE, StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { joinHalves } from '../processor/registers.js';
import { boundsOf } from '../processor/segment-bounds.js';

const carry64 = new Int32Array(2);

/** Adds two 64-bit values given in halves, modulo 2^64, into `carry64`. */
function accumulate(lo: number, hi: number): void {
  const sum = (carry64[0]! >>> 0) + (lo >>> 0);
  carry64[0] = sum | 0;
  carry64[1] = (carry64[1]! + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
}

/**
 * The linear address of an offset in a segment: FS and GS have a base in 64-bit mode, all have base and limit otherwise. Accesses beyond the limit, or of
 * a kind that the segment does not allow, are #GP(0), or #SS(0) in SS (SDM volume 3, 5.3).
 */
export function segmentAddress(core: Core, segment: number, offset: number, size: number, write: boolean): Linear {
  const { registers } = core;
  const base = registers.base(segment);
  if (core.mode === LONG_MODE) return segment === Segment.fs || segment === Segment.gs ? base + offset : offset;
  const { low, high } = boundsOf(registers.attributes(segment), registers.limit(segment), write, registers.isReal);
  if (offset < low || offset + size - 1 > high) core.raise(segment === Segment.ss ? Vector.ss : Vector.gp, 0);
  return ((base >>> 0) + offset) % 2 ** 32;
}

/** A pointer or counter register cut to the address size. */
export function pointer(core: Core, register: number, addressSize: number): number {
  if (addressSize === 8) return core.registers.gpr(register);
  return addressSize === 4 ? core.registers.gprLo(register) >>> 0 : core.registers.gprLo(register) & 0xffff;
}

/** Bytes of an instruction's memory operand, at least 1. */
function memorySize(instruction: Instruction): number {
  for (let i = 0; i < instruction.operandCount; i++) {
    const { kind, size } = instruction.operands[i]!;
    if (kind === OperandKind.Mem) return Math.max(size, 1);
  }
  return 1;
}

/** The linear address of an instruction's memory operand, segment base included; outside 64-bit mode its segment must allow the access. */
export function operandAddress(core: Core, instruction: Instruction, write = false): Linear {
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
  if (core.mode !== LONG_MODE) {
    const offset = instruction.addressSize === 2 ? carry64[0]! & 0xffff : carry64[0]! >>> 0;
    return segmentAddress(core, segmentOf(instruction), offset, memorySize(instruction), write);
  }
  if (instruction.addressSize === 4) carry64[1] = 0;
  if (segment === Segment.fs || segment === Segment.gs) {
    const at = StateOffset.segments + segment * SEGMENT_SIZE + 8;
    accumulate(registers.lo(at), registers.hi(at));
  }
  return joinHalves(carry64[0]!, carry64[1]!);
}

/** The linear address in a pointer register, with DS or an override. */
export function registerAddress(core: Core, instruction: Instruction, register: number, size: number): Linear {
  const segment = instruction.segment < 0 ? Segment.ds : instruction.segment;
  return segmentAddress(core, segment, pointer(core, register, instruction.addressSize), size, true);
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
  if (operand.kind === OperandKind.Mem) core.writeSized(operandAddress(core, instruction, true), 2, value, 0, core.mmu.mode);
  else writeRegister(core, operand.reg, instruction.operandSize, value, 0);
}

/** #GP(0) outside ring 0. */
export function requireRing0(core: Core): void {
  if (core.registers.cpl !== 0) core.raise(Vector.gp, 0);
}
