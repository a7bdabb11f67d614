import { BASE_RIP, CodeMode, OperandKind, segmentOf } from '../decode/instruction.js';
import type { Instruction, Operand } from '../decode/instruction.js';
import { ones } from './arithmetic.js';
import { Outcome } from './emulator-cpu.js';
import type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';

const RSP = 4;
const RBP = 5;

/** A general register, or bits 15:8 of one, as an operand of `size` bytes. */
export function readRegister(cpu: EmulatorCpu, register: number, size: number, high8 = false): bigint {
  const value = cpu.readGpr(register);
  return (high8 ? value >> 8n : value) & ones(8 * size);
}

/** Writes a register operand: 1 and 2 bytes leave the rest of the register alone, 4 bytes clear the upper half (SDM vol. 1, 3.4.1.1). */
export function writeRegister(cpu: EmulatorCpu, register: number, size: number, value: bigint, high8 = false): void {
  if (size >= 4) {
    cpu.writeGpr(register, value & ones(8 * size));
    return;
  }
  const shift = high8 ? 8n : 0n;
  const mask = ones(8 * size) << shift;
  cpu.writeGpr(register, (cpu.readGpr(register) & ~mask) | ((value << shift) & mask));
}

/** The immediate, sign-extended to 64 bits by the decoder, as an operand of `size` bytes. */
export function immediate(instruction: Instruction, size: number): bigint {
  return ((BigInt(instruction.immHi >>> 0) << 32n) | BigInt(instruction.immLo >>> 0)) & ones(8 * size);
}

/** The memory operand's offset in its segment: base, index and displacement, cut to the address size. */
export function effectiveAddress(cpu: EmulatorCpu, instruction: Instruction): bigint {
  let address = (BigInt(instruction.dispHi >>> 0) << 32n) | BigInt(instruction.dispLo >>> 0);
  if (instruction.base === BASE_RIP) address += cpu.rip + BigInt(instruction.length);
  else if (instruction.base >= 0) address += cpu.readGpr(instruction.base);
  if (instruction.index >= 0) address += cpu.readGpr(instruction.index) << BigInt(instruction.scale);
  return address & ones(8 * instruction.addressSize);
}

/** Bits of linear addresses and of the instruction pointer. */
export function addressBits(cpu: EmulatorCpu): number {
  return cpu.codeMode === CodeMode.Bits64 ? 64 : 32;
}

/** Base of the memory operand's segment; only FS and GS have one in 64-bit mode. */
function operandBase(cpu: EmulatorCpu, instruction: Instruction): bigint {
  if (cpu.codeMode !== CodeMode.Bits64) return cpu.segmentBase(segmentOf(instruction));
  return instruction.segment >= 0 ? cpu.segmentBase(instruction.segment) : 0n;
}

/** The memory operand's linear address. */
export function linearAddress(cpu: EmulatorCpu, instruction: Instruction): bigint {
  return (effectiveAddress(cpu, instruction) + operandBase(cpu, instruction)) & ones(addressBits(cpu));
}

function isCanonical(linear: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear;
}

/** Does the address default to the stack segment? Its non-canonical addresses raise #SS(0), others #GP(0) (SDM vol. 3, 6.15). */
function usesStack(instruction: Instruction): boolean {
  return instruction.segment < 0 && (instruction.base === RSP || instruction.base === RBP);
}

/** The fault of an access that leaves the canonical halves; undefined if it does not. */
export function canonicalFault(linear: bigint, size: number, stack: boolean): EmulateOutcome | undefined {
  if (isCanonical(linear) && isCanonical((linear + BigInt(size - 1)) & ones(64))) return undefined;
  return stack ? Outcome.stackFault : Outcome.generalProtection;
}

/** What an instruction does with an operand; bits. */
export const Access = { None: 0, Read: 1, Write: 2, ReadWrite: 3 } as const;

/** One value of {@link Access}. */
export type Access = (typeof Access)[keyof typeof Access];

/** An operand's place, found once, before the first access. */
export interface Place {
  readonly operand: Operand;
  /** Mem: where. */
  readonly linear: bigint;
}

/** Finds an operand's place; an outcome if its address cannot be used as `access` says. `displacement` is added to the address of a bit string. */
export function locate(cpu: EmulatorCpu, instruction: Instruction, operand: Operand, access: Access, displacement: bigint): Place | EmulateOutcome {
  if (operand.kind !== OperandKind.Mem || access === Access.None) return { operand, linear: 0n };
  let linear = linearAddress(cpu, instruction);
  if (displacement !== 0n) {
    const offset = (effectiveAddress(cpu, instruction) + displacement) & ones(8 * instruction.addressSize);
    linear = (offset + operandBase(cpu, instruction)) & ones(addressBits(cpu));
  }
  const fault = canonicalFault(linear, operand.size, usesStack(instruction));
  if (fault !== undefined) return fault;
  if (access === Access.ReadWrite && !cpu.canWriteMemory(linear, operand.size)) return Outcome.accessFailed;
  return { operand, linear };
}

/** Is it a place or the outcome that ends the instruction? */
export function isOutcome(value: Place | EmulateOutcome): value is EmulateOutcome {
  return 'status' in value;
}

/** Reads an operand of any kind; undefined if memory refuses. */
export function readPlace(cpu: EmulatorCpu, instruction: Instruction, { operand, linear }: Place): bigint | undefined {
  switch (operand.kind) {
    case OperandKind.Reg:
      return readRegister(cpu, operand.reg, operand.size, operand.high8);
    case OperandKind.Mem:
      return cpu.readMemory(linear, operand.size);
    default:
      return immediate(instruction, operand.size);
  }
}
