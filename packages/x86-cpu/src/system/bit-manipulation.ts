/** BMI1, BMI2, ADX, CRC32, RDRAND, RDSEED and RDPID (SDM volume 2). */
import { OperandKind } from '../decode/instruction.js';
import type { Instruction, Operand } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { StateOffset } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { operandAddress, writeRegister } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

export const bitManipulation: SystemInstructions = new Map();

const RDX = 2;
const ARITHMETIC = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of;

/** An operand as an unsigned number of its size. */
function valueOf(core: Core, instruction: Instruction, operand: Operand): bigint {
  if (operand.kind === OperandKind.Imm) return BigInt(instruction.immLo);
  let { lo, hi } = core;
  if (operand.kind === OperandKind.Mem) {
    core.readSized(operandAddress(core, instruction), operand.size, core.mmu.mode);
    ({ lo, hi } = core);
  } else {
    lo = core.registers.gprLo(operand.reg) >> (operand.high8 ? 8 : 0);
    hi = core.registers.gprHi(operand.reg);
  }
  return BigInt.asUintN(8 * operand.size, (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0));
}

function setRegister(core: Core, operand: Operand, value: bigint): void {
  writeRegister(core, operand.reg, operand.size, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** ZF and SF by the result, CF as given, OF clear; PF, undefined, by the result as ever, AF clear. */
function setFlags(core: Core, result: bigint, size: number, carry: boolean): void {
  const zero = result === 0n ? Flag.zf : 0;
  const sign = (result >> BigInt(8 * size - 1)) & 1n ? Flag.sf : 0;
  core.writeFlags((core.readFlags() & ~ARITHMETIC) | zero | sign | parity(result) | (carry ? Flag.cf : 0));
}

function parity(result: bigint): number {
  let low = Number(result & 0xffn);
  low ^= low >> 4;
  return (0x9669 >> (low & 15)) & 1 ? Flag.pf : 0;
}

type TwoOperands = (x: bigint, y: bigint, bits: number) => bigint;

/** Three operands, no flags. */
function defineShift(op: Op, f: TwoOperands): void {
  bitManipulation.set(op, (core, instruction) => {
    const [destination, first, second] = instruction.operands;
    const bits = 8 * destination.size;
    const result = f(valueOf(core, instruction, first), valueOf(core, instruction, second), bits);
    setRegister(core, destination, BigInt.asUintN(bits, result));
    return Outcome.Done;
  });
}

const countOf = (y: bigint, bits: number): bigint => y & BigInt(bits - 1);

defineShift(Op.Shlx, (x, y, bits) => x << countOf(y, bits));
defineShift(Op.Shrx, (x, y, bits) => x >> countOf(y, bits));
defineShift(Op.Sarx, (x, y, bits) => BigInt.asIntN(bits, x) >> countOf(y, bits));
defineShift(Op.Rorx, (x, y, bits) => (x >> countOf(y, bits)) | (x << (BigInt(bits) - countOf(y, bits))));
defineShift(Op.Pdep, (x, mask) => {
  let result = 0n;
  let from = 0n;
  for (let rest = mask; rest !== 0n; rest &= rest - 1n, from++) if ((x >> from) & 1n) result |= rest & -rest;
  return result;
});
defineShift(Op.Pext, (x, mask) => {
  let result = 0n;
  let to = 0n;
  for (let rest = mask; rest !== 0n; rest &= rest - 1n, to++) if (x & (rest & -rest)) result |= 1n << to;
  return result;
});

/** Low half to the second operand, high half to the first, which wins when they are one. */
bitManipulation.set(Op.Mulx, (core, instruction) => {
  const [high, low, source] = instruction.operands;
  const bits = BigInt(8 * source.size);
  const implicit: Operand = { kind: OperandKind.Reg, size: source.size, reg: RDX, high8: false };
  const product = valueOf(core, instruction, source) * valueOf(core, instruction, implicit);
  setRegister(core, low, BigInt.asUintN(Number(bits), product));
  setRegister(core, high, product >> bits);
  return Outcome.Done;
});

/** Two sources of three operands, with flags. */
function defineWithFlags(op: Op, f: TwoOperands, carry: (x: bigint, y: bigint, bits: number) => boolean): void {
  bitManipulation.set(op, (core, instruction) => {
    const [destination, first, second] = instruction.operands;
    const bits = 8 * destination.size;
    const x = valueOf(core, instruction, first);
    const y = valueOf(core, instruction, second);
    const result = BigInt.asUintN(bits, f(x, y, bits));
    setRegister(core, destination, result);
    setFlags(core, result, destination.size, carry(x, y, bits));
    return Outcome.Done;
  });
}

defineWithFlags(Op.Andn, (x, y) => ~x & y, () => false);
defineWithFlags(Op.Bzhi, (x, y) => ((y & 0xffn) >= 64n ? x : x & ((1n << (y & 0xffn)) - 1n)), (_, y, bits) => (y & 0xffn) > BigInt(bits - 1));

/** ZF by the result; of what is undefined PF is by the result, AF set and SF clear, as recorded. */
bitManipulation.set(Op.Bextr, (core, instruction) => {
  const [destination, source, control] = instruction.operands;
  const fields = valueOf(core, instruction, control);
  const result = (valueOf(core, instruction, source) >> (fields & 0xffn)) & ((1n << ((fields >> 8n) & 0xffn)) - 1n);
  setRegister(core, destination, result);
  core.writeFlags((core.readFlags() & ~ARITHMETIC) | Flag.af | parity(result) | (result === 0n ? Flag.zf : 0));
  return Outcome.Done;
});

function defineLowest(op: Op, f: (x: bigint) => bigint, carry: (x: bigint) => boolean): void {
  bitManipulation.set(op, (core, instruction) => {
    const [destination, source] = instruction.operands;
    const x = valueOf(core, instruction, source);
    const result = BigInt.asUintN(8 * destination.size, f(x));
    setRegister(core, destination, result);
    setFlags(core, result, destination.size, carry(x));
    return Outcome.Done;
  });
}

defineLowest(Op.Blsr, (x) => x & (x - 1n), (x) => x === 0n);
defineLowest(Op.Blsmsk, (x) => x ^ (x - 1n), (x) => x === 0n);
defineLowest(Op.Blsi, (x) => x & -x, (x) => x !== 0n);

for (const [op, flag] of [[Op.Adcx, Flag.cf], [Op.Adox, Flag.of]] as const) {
  bitManipulation.set(op, (core, instruction) => {
    const [destination, source] = instruction.operands;
    const flags = core.readFlags();
    const bits = 8 * destination.size;
    const sum = valueOf(core, instruction, destination) + valueOf(core, instruction, source) + (flags & flag ? 1n : 0n);
    setRegister(core, destination, BigInt.asUintN(bits, sum));
    core.writeFlags(sum >> BigInt(bits) === 0n ? flags & ~flag : flags | flag);
    return Outcome.Done;
  });
}

/** CRC-32C, bits reflected: polynomial 0x11EDC6F41. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let i = 0; i < 8; i++) rest = (rest >>> 1) ^ (rest & 1 ? 0x82f63b78 : 0);
  return rest;
});

bitManipulation.set(Op.Crc32, (core, instruction) => {
  const [destination, source] = instruction.operands;
  const value = valueOf(core, instruction, source);
  let crc = core.registers.gprLo(destination.reg);
  for (let i = 0n; i < BigInt(source.size); i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ Number((value >> (8n * i)) & 0xffn)) & 0xff]!;
  core.registers.setGpr(destination.reg, crc, 0);
  return Outcome.Done;
});

/** xorshift64* (Vigna): the same numbers from the same seed, always ready (CF set). */
for (const op of [Op.Rdrand, Op.Rdseed] as const) {
  bitManipulation.set(op, (core, instruction) => {
    const { registers } = core;
    let state = (BigInt(registers.hi(StateOffset.random) >>> 0) << 32n) | BigInt(registers.lo(StateOffset.random) >>> 0);
    state ^= state >> 12n;
    state = BigInt.asUintN(64, state ^ (state << 25n));
    state ^= state >> 27n;
    registers.set(StateOffset.random, Number(BigInt.asIntN(32, state)), Number(BigInt.asIntN(32, state >> 32n)));
    setRegister(core, instruction.operands[0], BigInt.asUintN(64, state * 0x2545f4914f6cdd1dn));
    core.writeFlags((core.readFlags() & ~ARITHMETIC) | Flag.cf);
    return Outcome.Done;
  });
}

bitManipulation.set(Op.Rdpid, (core, instruction) => {
  core.registers.setGpr(instruction.operands[0].reg, core.registers.lo(StateOffset.tscAux), 0);
  return Outcome.Done;
});
