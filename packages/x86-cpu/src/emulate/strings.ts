import { CodeMode, Rep } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Flag, ones, subtract } from './arithmetic.js';
import { Outcome } from './emulator-cpu.js';
import type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';
import { addressBits, canonicalFault, readRegister, writeRegister } from './operands.js';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;
const ES = 0;
const DS = 3;

/** Which pointers an iteration uses and moves. */
const POINTERS: ReadonlyMap<Op, { readonly source: boolean; readonly destination: boolean }> = new Map<Op, { source: boolean; destination: boolean }>([
  [Op.Movs, { source: true, destination: true }],
  [Op.Cmps, { source: true, destination: true }],
  [Op.Stos, { source: false, destination: true }],
  [Op.Lods, { source: true, destination: false }],
  [Op.Scas, { source: false, destination: true }],
  [Op.Ins, { source: false, destination: true }],
  [Op.Outs, { source: true, destination: false }],
]);

/** Is it a string instruction? */
export function isString(op: Op): boolean {
  return POINTERS.has(op);
}

/** One iteration's data movement: undefined when done, with the flags of a comparison in `rflags`. */
interface Iteration {
  readonly failed: EmulateOutcome | undefined;
  readonly rflags: bigint;
}

function iterate(cpu: EmulatorCpu, instruction: Instruction, source: bigint, destination: bigint): Iteration {
  const size = instruction.operandSize;
  const { rflags } = cpu;
  const failed = { failed: Outcome.accessFailed, rflags };
  const done = { failed: undefined, rflags };
  const port = Number(cpu.readGpr(RDX) & 0xffffn);
  switch (instruction.op) {
    case Op.Movs: {
      if (!cpu.canWriteMemory(destination, size)) return failed;
      const value = cpu.readMemory(source, size);
      return value !== undefined && cpu.writeMemory(destination, size, value) ? done : failed;
    }
    case Op.Cmps: {
      const a = cpu.readMemory(source, size);
      const b = a === undefined ? undefined : cpu.readMemory(destination, size);
      return a === undefined || b === undefined ? failed : { failed: undefined, rflags: subtract(rflags, a, b, 0n, 8 * size).rflags };
    }
    case Op.Scas: {
      const b = cpu.readMemory(destination, size);
      return b === undefined ? failed : { failed: undefined, rflags: subtract(rflags, readRegister(cpu, RAX, size), b, 0n, 8 * size).rflags };
    }
    case Op.Stos:
      return cpu.writeMemory(destination, size, readRegister(cpu, RAX, size)) ? done : failed;
    case Op.Lods: {
      const value = cpu.readMemory(source, size);
      if (value === undefined) return failed;
      writeRegister(cpu, RAX, size, value);
      return done;
    }
    case Op.Ins: {
      if (!cpu.canWriteMemory(destination, size)) return failed;
      const value = cpu.readPort(port, size);
      return value !== undefined && cpu.writeMemory(destination, size, value) ? done : failed;
    }
    default: {
      const value = cpu.readMemory(source, size);
      return value !== undefined && cpu.writePort(port, size, value) ? done : failed;
    }
  }
}

/**
 * Executes a string instruction: all of it without a REP prefix, with one exactly one iteration, which ends in Repeat when more follow. A count of zero does
 * nothing. SDM volume 2, REP/REPE/REPNE.
 */
export function emulateString(cpu: EmulatorCpu, instruction: Instruction, nextRip: bigint): EmulateOutcome {
  const { addressSize, operandSize, rep, op } = instruction;
  const pointers = POINTERS.get(op)!;
  const count = readRegister(cpu, RCX, addressSize);
  if (rep !== Rep.None && count === 0n) {
    cpu.rip = nextRip;
    return Outcome.done;
  }
  const segmented = cpu.codeMode !== CodeMode.Bits64;
  const sourceSegment = instruction.segment < 0 && segmented ? DS : instruction.segment;
  const sourceBase = sourceSegment >= 0 ? cpu.segmentBase(sourceSegment) : 0n;
  const destinationBase = segmented ? cpu.segmentBase(ES) : 0n;
  const rsi = readRegister(cpu, RSI, addressSize);
  const rdi = readRegister(cpu, RDI, addressSize);
  const source = (rsi + sourceBase) & ones(addressBits(cpu));
  const destination = (rdi + destinationBase) & ones(addressBits(cpu));
  const fault =
    (pointers.source ? canonicalFault(source, operandSize, false) : undefined) ?? (pointers.destination ? canonicalFault(destination, operandSize, false) : undefined);
  if (fault !== undefined) return fault;

  const { failed, rflags } = iterate(cpu, instruction, source, destination);
  if (failed !== undefined) return failed;

  const step = cpu.rflags & Flag.DF ? -BigInt(operandSize) : BigInt(operandSize);
  if (pointers.source) writeRegister(cpu, RSI, addressSize, rsi + step);
  if (pointers.destination) writeRegister(cpu, RDI, addressSize, rdi + step);
  cpu.rflags = rflags;
  if (rep !== Rep.None) {
    writeRegister(cpu, RCX, addressSize, count - 1n);
    const compares = op === Op.Cmps || op === Op.Scas;
    const wanted = rep === Rep.F3 ? Flag.ZF : 0n;
    if (count !== 1n && (!compares || (rflags & Flag.ZF) === wanted)) return Outcome.repeat;
  }
  cpu.rip = nextRip;
  return Outcome.done;
}
