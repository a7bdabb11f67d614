import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Flag, conditionHolds, ones } from './arithmetic.js';
import { Outcome } from './emulator-cpu.js';
import type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';
import { Access, canonicalFault, immediate, isOutcome, linearAddress, locate, readPlace, readRegister, writeRegister } from './operands.js';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;

type Handler = (cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint) => EmulateOutcome;

function read(cpu: EmulatorCpu, linear: bigint, size: number, stack: boolean): bigint | EmulateOutcome {
  return canonicalFault(linear, size, stack) ?? cpu.readMemory(linear, size) ?? Outcome.accessFailed;
}

/** Puts a value on the stack; the caller's registers are committed only after Done. */
function pushValue(cpu: EmulatorCpu, size: number, value: bigint): EmulateOutcome {
  const linear = (cpu.readGpr(RSP) - BigInt(size)) & ones(64);
  const fault = canonicalFault(linear, size, true);
  if (fault !== undefined) return fault;
  if (!cpu.writeMemory(linear, size, value)) return Outcome.accessFailed;
  cpu.writeGpr(RSP, linear);
  return Outcome.done;
}

function valueOf(cpu: EmulatorCpu, instruction: Instruction): bigint | EmulateOutcome {
  const place = locate(cpu, instruction, instruction.operands[0], Access.Read, 0n);
  if (isOutcome(place)) return place;
  return readPlace(cpu, instruction, place) ?? Outcome.accessFailed;
}

function push(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const size = instruction.operandSize;
  if (instruction.operands[0].kind === OperandKind.SegReg) return Outcome.notEmulated;
  const value = instruction.operands[0].kind === OperandKind.Imm ? immediate(instruction, size) : valueOf(cpu, instruction);
  if (typeof value !== 'bigint') return value;
  const outcome = pushValue(cpu, size, value);
  if (outcome === Outcome.done) cpu.rip = nextRip;
  return outcome;
}

/** POP computes a memory operand's address with the RSP it leaves behind, and POP RSP keeps the value popped (SDM vol. 2, POP). */
function pop(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const size = instruction.operandSize;
  const destination = instruction.operands[0];
  if (destination.kind === OperandKind.SegReg) return Outcome.notEmulated;
  const rsp = cpu.readGpr(RSP);
  const value = read(cpu, rsp, size, true);
  if (typeof value !== 'bigint') return value;
  const after = (rsp + BigInt(size)) & ones(64);
  if (destination.kind === OperandKind.Mem) {
    cpu.writeGpr(RSP, after);
    const place = locate(cpu, instruction, destination, Access.Write, 0n);
    const outcome = isOutcome(place) ? place : cpu.writeMemory(place.linear, size, value) ? Outcome.done : Outcome.accessFailed;
    if (outcome !== Outcome.done) {
      cpu.writeGpr(RSP, rsp);
      return outcome;
    }
  } else {
    cpu.writeGpr(RSP, after);
    writeRegister(cpu, destination.reg, size, value);
  }
  cpu.rip = nextRip;
  return Outcome.done;
}

function target(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): bigint | EmulateOutcome {
  if (instruction.operands[0].kind === OperandKind.Rel) return (nextRip + immediate(instruction, 8)) & ones(64);
  return valueOf(cpu, instruction);
}

function jumpTo(cpu: EmulatorCpu, rip: bigint | EmulateOutcome): EmulateOutcome {
  if (typeof rip !== 'bigint') return rip;
  const fault = canonicalFault(rip, 1, false);
  if (fault !== undefined) return fault;
  cpu.rip = rip;
  return Outcome.done;
}

function branchIf(taken: boolean, cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  return jumpTo(cpu, taken ? target(cpu, instruction, nextRip) : nextRip);
}

/** The stack is checked before the target, as an EPYC does; nothing is written if either is bad. */
function call(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const rip = target(cpu, instruction, nextRip);
  if (typeof rip !== 'bigint') return rip;
  const stack = (cpu.readGpr(RSP) - 8n) & ones(64);
  const stackFault = canonicalFault(stack, 8, true);
  if (stackFault !== undefined) return stackFault;
  if (!cpu.canWriteMemory(stack, 8)) return Outcome.accessFailed;
  const targetFault = canonicalFault(rip, 1, false);
  if (targetFault !== undefined) return targetFault;
  const outcome = pushValue(cpu, 8, nextRip);
  if (outcome === Outcome.done) cpu.rip = rip;
  return outcome;
}

function ret(cpu: EmulatorCpu, instruction: Instruction): EmulateOutcome {
  const rsp = cpu.readGpr(RSP);
  const outcome = jumpTo(cpu, read(cpu, rsp, 8, true));
  if (outcome === Outcome.done) cpu.writeGpr(RSP, (rsp + 8n + immediate(instruction, 2)) & ones(64));
  return outcome;
}

function leave(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const size = instruction.operandSize;
  const frame = cpu.readGpr(RBP);
  const value = read(cpu, frame, size, true);
  if (typeof value !== 'bigint') return value;
  cpu.writeGpr(RSP, (frame + BigInt(size)) & ones(64));
  writeRegister(cpu, RBP, size, value);
  cpu.rip = nextRip;
  return Outcome.done;
}

/** LOOPcc: the count is rCX of the address size, decremented without flags. */
function loop(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const size = instruction.addressSize;
  const count = (readRegister(cpu, RCX, size) - 1n) & ones(8 * size);
  const zero = (cpu.rflags & Flag.ZF) !== 0n;
  const holds = instruction.op === Op.Loope ? zero : instruction.op === Op.Loopne ? !zero : true;
  const outcome = branchIf(count !== 0n && holds, cpu, instruction, nextRip);
  if (outcome === Outcome.done) writeRegister(cpu, RCX, size, count);
  return outcome;
}

function xlat(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const base = instruction.segment >= 0 ? cpu.segmentBase(instruction.segment) : 0n;
  const offset = (cpu.readGpr(RBX) + readRegister(cpu, RAX, 1)) & ones(8 * instruction.addressSize);
  const value = read(cpu, (offset + base) & ones(64), 1, false);
  if (typeof value !== 'bigint') return value;
  writeRegister(cpu, RAX, 1, value);
  cpu.rip = nextRip;
  return Outcome.done;
}

function portOf(cpu: EmulatorCpu, instruction: Instruction, operand: number): number {
  return instruction.operands[operand]!.kind === OperandKind.Imm ? instruction.immLo : Number(cpu.readGpr(RDX) & 0xffffn);
}

function portIn(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const value = cpu.readPort(portOf(cpu, instruction, 1), instruction.operandSize);
  if (value === undefined) return Outcome.accessFailed;
  writeRegister(cpu, RAX, instruction.operandSize, value);
  cpu.rip = nextRip;
  return Outcome.done;
}

function portOut(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const size = instruction.operandSize;
  if (!cpu.writePort(portOf(cpu, instruction, 0), size, readRegister(cpu, RAX, size))) return Outcome.accessFailed;
  cpu.rip = nextRip;
  return Outcome.done;
}

/** CMPXCHG8B and CMPXCHG16B, whose operand is two halves; the latter faults unless aligned (SDM vol. 2). */
function compareExchangePair(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const half = instruction.operands[0].size / 2;
  const linear = linearAddress(cpu, instruction);
  if (half === 8 && linear % 16n !== 0n) return Outcome.generalProtection;
  const place = locate(cpu, instruction, instruction.operands[0], Access.Write, 0n);
  if (isOutcome(place)) return place;
  const upper = (linear + BigInt(half)) & ones(64);
  if (!cpu.canWriteMemory(linear, half) || !cpu.canWriteMemory(upper, half)) return Outcome.accessFailed;
  const low = cpu.readMemory(linear, half);
  const high = low === undefined ? undefined : cpu.readMemory(upper, half);
  if (low === undefined || high === undefined) return Outcome.accessFailed;
  const equal = low === readRegister(cpu, RAX, half) && high === readRegister(cpu, RDX, half);
  const newLow = equal ? readRegister(cpu, RBX, half) : low;
  const newHigh = equal ? readRegister(cpu, RCX, half) : high;
  if (!cpu.writeMemory(linear, half, newLow) || !cpu.writeMemory(upper, half, newHigh)) return Outcome.accessFailed;
  if (!equal) {
    writeRegister(cpu, RAX, half, low);
    writeRegister(cpu, RDX, half, high);
  }
  cpu.rflags = equal ? cpu.rflags | Flag.ZF : cpu.rflags & ~Flag.ZF;
  cpu.rip = nextRip;
  return Outcome.done;
}

/** Instructions that use the stack, RIP, ports or registers in ways of their own. */
export const HANDLERS: ReadonlyMap<Op, Handler> = new Map<Op, Handler>([
  [Op.Push, push],
  [Op.Pop, pop],
  [Op.Jmp, (cpu, instruction, nextRip) => branchIf(true, cpu, instruction, nextRip)],
  [Op.Jcc, (cpu, instruction, nextRip) => branchIf(conditionHolds(instruction.condition, cpu.rflags), cpu, instruction, nextRip)],
  [Op.Jrcxz, (cpu, instruction, nextRip) => branchIf(readRegister(cpu, RCX, instruction.addressSize) === 0n, cpu, instruction, nextRip)],
  [Op.Loop, loop],
  [Op.Loope, loop],
  [Op.Loopne, loop],
  [Op.Call, call],
  [Op.Ret, ret],
  [Op.Leave, leave],
  [Op.Xlat, xlat],
  [Op.In, portIn],
  [Op.Out, portOut],
  [Op.Cmpxchg8b, compareExchangePair],
]);
