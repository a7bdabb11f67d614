import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import * as arithmetic from './arithmetic.js';
import { Flag, ones } from './arithmetic.js';
import type { Flagged } from './arithmetic.js';
import { Outcome } from './emulator-cpu.js';
import type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';
import { Access, effectiveAddress, readRegister } from './operands.js';

const RAX = 0;
const RDX = 2;

/** What a computation works on: operand values as read (0 where not), the operand size in bits. */
export interface Inputs {
  readonly cpu: EmulatorCpu;
  readonly instruction: Instruction;
  readonly bits: number;
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
  readonly rflags: bigint;
}

/** A write to a register that is not among the operands. */
export interface RegisterWrite {
  readonly register: number;
  readonly size: number;
  readonly value: bigint;
}

/** What a computation changes; what is absent stays. */
export interface Effect {
  readonly op0?: bigint;
  readonly op1?: bigint;
  readonly rflags?: bigint;
  readonly registers?: readonly RegisterWrite[];
}

/** An instruction as loads, a computation and stores. */
export interface Computation {
  /** By operand. */
  readonly access: readonly Access[];
  /** Pure but for reading registers. An outcome (#DE) ends the instruction. */
  compute(inputs: Inputs): Effect | EmulateOutcome;
}

const { None, Read, Write, ReadWrite } = Access;

function computation(access: readonly Access[], compute: Computation['compute']): Computation {
  return { access, compute };
}

function result({ value, rflags }: Flagged): Effect {
  return { op0: value, rflags };
}

function signExtended(value: bigint, from: number, to: number): bigint {
  return BigInt.asUintN(8 * to, BigInt.asIntN(8 * from, value));
}

const carryOf = (rflags: bigint): bigint => rflags & Flag.CF;

type Shift = (rflags: bigint, a: bigint, count: number, bits: number) => Flagged;

function shift(by: Shift): Computation {
  return computation([ReadWrite, Read], ({ rflags, a, b, bits }) => result(by(rflags, a, arithmetic.maskCount(b, bits), bits)));
}

type DoubleShift = (rflags: bigint, a: bigint, filler: bigint, count: number, bits: number) => Flagged;

function doubleShift(by: DoubleShift): Computation {
  return computation([ReadWrite, Read, Read], ({ rflags, a, b, c, bits }) => result(by(rflags, a, b, arithmetic.maskCount(c, bits), bits)));
}

/** BT and its kin: CF is the bit, whose number is taken modulo the operand's width (a memory bit string has been addressed already). */
function bitTest(access: Access, change: (value: bigint, bit: bigint) => bigint): Computation {
  return computation([access, Read], ({ rflags, a, b, bits }) => {
    const number = b % BigInt(bits);
    const carry = (a >> number) & 1n;
    const flags = (rflags & ~Flag.CF) | carry;
    return access === Read ? { rflags: flags } : { op0: change(a, 1n << number), rflags: flags };
  });
}

/** rDX:rAX, or AX for bytes, from the two halves of a double-width value. */
function accumulatorPair(bits: number, low: bigint, high: bigint): RegisterWrite[] {
  if (bits === 8) return [{ register: RAX, size: 2, value: (high << 8n) | low }];
  return [
    { register: RAX, size: bits / 8, value: low },
    { register: RDX, size: bits / 8, value: high },
  ];
}

function oneOperandMultiply({ cpu, rflags, a, bits }: Inputs, signed: boolean): Effect {
  const { value, rflags: flags } = arithmetic.multiply(rflags, readRegister(cpu, RAX, bits / 8), a, signed, bits);
  return { rflags: flags, registers: accumulatorPair(bits, value & ones(bits), value >> BigInt(bits)) };
}

function divide({ cpu, a, bits }: Inputs, signed: boolean): Effect | EmulateOutcome {
  const dividend =
    bits === 8 ? readRegister(cpu, RAX, 2) : (readRegister(cpu, RDX, bits / 8) << BigInt(bits)) | readRegister(cpu, RAX, bits / 8);
  const quotient = arithmetic.divide(dividend, a, signed, bits);
  if (quotient === undefined) return Outcome.divideError;
  return { registers: accumulatorPair(bits, quotient.quotient, quotient.remainder) };
}

/**
 * Memory is written in either case, with its own value on a mismatch (SDM vol. 2, CMPXCHG); a register is then not written at all, so that a 32-bit one
 * keeps its upper half.
 */
function compareExchange({ cpu, instruction, rflags, a, b, bits }: Inputs): Effect {
  const accumulator = readRegister(cpu, RAX, bits / 8);
  const flags = arithmetic.subtract(rflags, accumulator, a, 0n, bits).rflags;
  if (accumulator === a) return { op0: b, rflags: flags };
  const registers = [{ register: RAX, size: bits / 8, value: a }];
  return instruction.operands[0].kind === OperandKind.Mem ? { op0: a, rflags: flags, registers } : { rflags: flags, registers };
}

function scan({ instruction, rflags, b, bits }: Inputs): Effect {
  const { value, rflags: flags } = arithmetic.scan(rflags, b, instruction.op === Op.Bsr, bits);
  return value === undefined ? { rflags: flags } : { op0: value, rflags: flags };
}

const setFlag = (flag: bigint): Computation => computation([], ({ rflags }) => ({ rflags: rflags | flag }));
const clearFlag = (flag: bigint): Computation => computation([], ({ rflags }) => ({ rflags: rflags & ~flag }));
const nothing = computation([None, None], () => ({}));
const move = computation([Write, Read], ({ b }) => ({ op0: b }));
const logicOf = (operate: (a: bigint, b: bigint) => bigint): Computation =>
  computation([ReadWrite, Read], ({ rflags, a, b, bits }) => result(arithmetic.logic(rflags, operate(a, b), bits)));

/** Every instruction that is operands in, operands out. The rest is in `stack-and-branches` and `strings`. */
export const COMPUTATIONS: ReadonlyMap<Op, Computation> = new Map<Op, Computation>([
  [Op.Mov, move],
  [Op.Movnti, move],
  [Op.Movzx, move],
  [Op.Movsx, computation([Write, Read], ({ instruction, b }) => ({ op0: signExtended(b, instruction.operands[1].size, instruction.operandSize) }))],
  [Op.Movsxd, computation([Write, Read], ({ instruction, b }) => ({ op0: signExtended(b, instruction.operands[1].size, instruction.operandSize) }))],
  [Op.Movbe, computation([Write, Read], ({ b, bits }) => ({ op0: arithmetic.reverseBytes(b, bits / 8) }))],
  [Op.Bswap, computation([ReadWrite], ({ a, bits }) => ({ op0: bits === 16 ? 0n : arithmetic.reverseBytes(a, bits / 8) }))],
  [Op.Lea, computation([Write, None], ({ cpu, instruction, bits }) => ({ op0: effectiveAddress(cpu, instruction) & ones(bits) }))],
  [Op.Xchg, computation([ReadWrite, ReadWrite], ({ a, b }) => ({ op0: b, op1: a }))],
  [Op.Xadd, computation([ReadWrite, ReadWrite], ({ rflags, a, b, bits }) => ({ ...result(arithmetic.add(rflags, a, b, 0n, bits)), op1: a }))],
  [Op.Cmpxchg, computation([ReadWrite, Read], compareExchange)],
  [Op.Cmovcc, computation([ReadWrite, Read], ({ instruction, rflags, a, b }) => ({ op0: arithmetic.conditionHolds(instruction.condition, rflags) ? b : a }))],
  [Op.Setcc, computation([Write], ({ instruction, rflags }) => ({ op0: arithmetic.conditionHolds(instruction.condition, rflags) ? 1n : 0n }))],
  [
    Op.Cbw,
    computation([], ({ cpu, bits }) => ({
      registers: [{ register: RAX, size: bits / 8, value: signExtended(readRegister(cpu, RAX, bits / 16), bits / 16, bits / 8) }],
    })),
  ],
  [
    Op.Cwd,
    computation([], ({ cpu, bits }) => ({
      registers: [{ register: RDX, size: bits / 8, value: readRegister(cpu, RAX, bits / 8) >> BigInt(bits - 1) === 0n ? 0n : ones(bits) }],
    })),
  ],
  [Op.Add, computation([ReadWrite, Read], ({ rflags, a, b, bits }) => result(arithmetic.add(rflags, a, b, 0n, bits)))],
  [Op.Adc, computation([ReadWrite, Read], ({ rflags, a, b, bits }) => result(arithmetic.add(rflags, a, b, carryOf(rflags), bits)))],
  [Op.Sub, computation([ReadWrite, Read], ({ rflags, a, b, bits }) => result(arithmetic.subtract(rflags, a, b, 0n, bits)))],
  [Op.Sbb, computation([ReadWrite, Read], ({ rflags, a, b, bits }) => result(arithmetic.subtract(rflags, a, b, carryOf(rflags), bits)))],
  [Op.Cmp, computation([Read, Read], ({ rflags, a, b, bits }) => ({ rflags: arithmetic.subtract(rflags, a, b, 0n, bits).rflags }))],
  [Op.Test, computation([Read, Read], ({ rflags, a, b, bits }) => ({ rflags: arithmetic.logic(rflags, a & b, bits).rflags }))],
  [Op.And, logicOf((a, b) => a & b)],
  [Op.Or, logicOf((a, b) => a | b)],
  [Op.Xor, logicOf((a, b) => a ^ b)],
  [Op.Inc, computation([ReadWrite], ({ rflags, a, bits }) => result(arithmetic.keepCarry(rflags, arithmetic.add(rflags, a, 1n, 0n, bits))))],
  [Op.Dec, computation([ReadWrite], ({ rflags, a, bits }) => result(arithmetic.keepCarry(rflags, arithmetic.subtract(rflags, a, 1n, 0n, bits))))],
  [Op.Neg, computation([ReadWrite], ({ rflags, a, bits }) => result(arithmetic.subtract(rflags, 0n, a, 0n, bits)))],
  [Op.Not, computation([ReadWrite], ({ a, bits }) => ({ op0: ~a & ones(bits) }))],
  [Op.Mul, computation([Read], (inputs) => oneOperandMultiply(inputs, false))],
  [Op.Div, computation([Read], (inputs) => divide(inputs, false))],
  [Op.Idiv, computation([Read], (inputs) => divide(inputs, true))],
  [Op.Rol, shift(arithmetic.rotateLeft)],
  [Op.Ror, shift(arithmetic.rotateRight)],
  [Op.Rcl, shift(arithmetic.rotateCarryLeft)],
  [Op.Rcr, shift(arithmetic.rotateCarryRight)],
  [Op.Shl, shift(arithmetic.shiftLeft)],
  [Op.Shr, shift(arithmetic.shiftRight)],
  [Op.Sar, shift(arithmetic.shiftArithmetic)],
  [Op.Shld, doubleShift(arithmetic.shiftLeftDouble)],
  [Op.Shrd, doubleShift(arithmetic.shiftRightDouble)],
  [Op.Bt, bitTest(Read, (value) => value)],
  [Op.Bts, bitTest(ReadWrite, (value, bit) => value | bit)],
  [Op.Btr, bitTest(ReadWrite, (value, bit) => value & ~bit)],
  [Op.Btc, bitTest(ReadWrite, (value, bit) => value ^ bit)],
  [Op.Bsf, computation([Write, Read], scan)],
  [Op.Bsr, computation([Write, Read], scan)],
  [Op.Tzcnt, computation([Write, Read], ({ rflags, b, bits }) => result(arithmetic.countZeros(rflags, b, false, bits)))],
  [Op.Lzcnt, computation([Write, Read], ({ rflags, b, bits }) => result(arithmetic.countZeros(rflags, b, true, bits)))],
  [Op.Popcnt, computation([Write, Read], ({ rflags, b }) => result(arithmetic.populationCount(rflags, b)))],
  [Op.Crc32, computation([ReadWrite, Read], ({ instruction, a, b }) => ({ op0: arithmetic.crc32c(a, b, 8 * instruction.operands[1].size) }))],
  [Op.Lahf, computation([], ({ cpu, rflags }) => ({ registers: [{ register: RAX, size: 2, value: readRegister(cpu, RAX, 1) | ((rflags & 0xffn) << 8n) }] }))],
  [
    Op.Sahf,
    computation([], ({ cpu, rflags }) => {
      const loaded = Flag.SF | Flag.ZF | Flag.AF | Flag.PF | Flag.CF;
      return { rflags: (rflags & ~loaded) | ((cpu.readGpr(RAX) >> 8n) & loaded) };
    }),
  ],
  [Op.Cmc, computation([], ({ rflags }) => ({ rflags: rflags ^ Flag.CF }))],
  [Op.Clc, clearFlag(Flag.CF)],
  [Op.Stc, setFlag(Flag.CF)],
  [Op.Cld, clearFlag(Flag.DF)],
  [Op.Std, setFlag(Flag.DF)],
  [Op.Nop, nothing],
  [Op.Pause, nothing],
  [Op.Prefetch, nothing],
  [Op.Endbr, nothing],
  [Op.Lfence, nothing],
  [Op.Mfence, nothing],
  [Op.Sfence, nothing],
]);

/** IMUL has three shapes, told apart by the number of operands. */
export const IMUL_COMPUTATIONS: readonly Computation[] = [
  nothing,
  computation([Read], (inputs) => oneOperandMultiply(inputs, true)),
  computation([ReadWrite, Read], ({ rflags, a, b, bits }) => truncatedProduct(rflags, a, b, bits)),
  computation([Write, Read, Read], ({ rflags, b, c, bits }) => truncatedProduct(rflags, b, c, bits)),
];

function truncatedProduct(rflags: bigint, a: bigint, b: bigint, bits: number): Effect {
  const { value, rflags: flags } = arithmetic.multiply(rflags, a, b, true, bits);
  return { op0: value & ones(bits), rflags: flags };
}
