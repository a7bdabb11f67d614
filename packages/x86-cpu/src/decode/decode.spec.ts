import iced from 'iced-x86';
import { describe, expect, it } from 'vitest';
import { decode } from './decode.js';
import { BASE_RIP, CodeMode, DecodeStatus, OperandKind, Rep, createInstruction } from './instruction.js';
import type { Instruction, Operand } from './instruction.js';
import { OPCODE_MAP_64 } from './opcode-map-64.js';
import { OPCODE_MAP_LEGACY } from './opcode-map-legacy.js';
import { Op } from './op.js';
import { OPCODE_MAP_VEX } from './opcode-map-vex.js';
import { firstSimdOp, SIMD_OPS, simdOp } from './simd-op.js';

/*
 * The oracle is iced-x86, an independent decoder. Where the two are meant to differ:
 *
 * - AVX, EVEX, XOP, VMX, SVM, SGX and the other extensions iced knows and this processor has not are Invalid here: anything whose mnemonic
 *   our opcode map cannot produce.
 * - x87: the decoder tells no instructions apart; lengths are compared. The implicit operands of vector instructions (XMM0, rDI) are iced's alone.
 * - Hints. What is a NOP on a processor without the extension that gave it a name (MPX in 0F 1A and 1B, CLDEMOTE, RDSSP, PREFETCHIT, the reserved NOPs) is
 *   Op.Nop here (SDM vol. 2, table A-3); their lengths are compared where iced accepts them.
 * - MOV CRn: iced takes any control register; those that do not exist are #UD (SDM vol. 2, MOV, control registers).
 * - Group 2's /6: iced calls it SAL; here it is Op.Shl.
 * - F3 90 with REX.B: iced says PAUSE; it is XCHG r8, rAX (SDM vol. 2, XCHG; and so an EPYC executes it).
 * - 66 shortens near branches in 16- and 32-bit code, and D6 is SALC, which iced does not decode.
 * - Segment prefixes that 64-bit mode ignores: iced reports them, we do not. The implicit operands of string instructions and XLAT: likewise.
 * - Register operands of which only 16 bits are read (LLDT, LMSW, MOV to a segment register …) are words here; iced gives them the operand size.
 */

const CODE_IP: Readonly<Record<CodeMode, bigint>> = { 16: 0x5000n, 32: 0x1234_5000n, 64: 0x7fff_1234_5000n };
const icedInstruction = new iced.Instruction();

/** The mode both decoders work in. */
let mode: CodeMode = CodeMode.Bits64;

function decodeIced(bytes: Uint8Array): iced.Instruction {
  const decoder = new iced.Decoder(mode, bytes, iced.DecoderOptions.None);
  decoder.ip = CODE_IP[mode];
  decoder.decodeOut(icedInstruction);
  decoder.free();
  return icedInstruction;
}

const SIZE_SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'd', 8: 'q' };
const CONDITIONS: readonly (readonly string[])[] = [
  ['o'], ['no'], ['b'], ['ae'], ['e'], ['ne'], ['be'], ['a'], ['s'], ['ns'], ['p'], ['np'], ['l'], ['ge'], ['le'], ['g'],
];
const MNEMONIC_OF: Readonly<Partial<Record<keyof typeof Op, string>>> = {
  MovSeg: 'mov', MovCr: 'mov', MovDr: 'mov', RetFar: 'retf', CallFar: 'call', JmpFar: 'jmp', Fwait: 'wait', Ins: 'ins', Outs: 'outs', Xlat: 'xlatb',
};
const OP_NAMES = new Map(Object.entries(Op).map(([name, op]) => [op as Op, name as keyof typeof Op]));
const ICED_ALIASES: Readonly<Record<string, string>> = { Sal: 'shl', Endbr32: 'endbr', Endbr64: 'endbr' };
const ICED_MNEMONIC = new Map(
  Object.entries(iced.Mnemonic).flatMap(([name, n]) => (typeof n === 'number' ? [[n, ICED_ALIASES[name] ?? name.toLowerCase()] as const] : [])),
);
const ICED_REGISTER = new Map(Object.entries(iced.Register).flatMap(([name, n]) => (typeof n === 'number' ? [[n, name.toLowerCase()] as const] : [])));

/** With REX.W iced has other names. */
const WIDE_NAMES: Readonly<Record<string, string>> = { movd: 'movq', pextrd: 'pextrq', pinsrd: 'pinsrq', fxsave: 'fxsave64', fxrstor: 'fxrstor64', xsave: 'xsave64', xrstor: 'xrstor64', xsaveopt: 'xsaveopt64', pcmpestri: 'pcmpestri64', pcmpestrm: 'pcmpestrm64' };

function simdMnemonic({ op, operandSize }: Instruction): string {
  const name = SIMD_OPS[op - firstSimdOp]!;
  return operandSize === 8 ? (WIDE_NAMES[name] ?? name) : name;
}

/** The mnemonic iced gives an instruction like ours. */
function mnemonic(instruction: Instruction): string {
  const { op, operandSize, condition } = instruction;
  if (op >= firstSimdOp) return simdMnemonic(instruction);
  const name = OP_NAMES.get(op)!;
  const size = SIZE_SUFFIX[operandSize]!;
  switch (op) {
    case Op.Jcc:
      return `j${CONDITIONS[condition]![0]}`;
    case Op.Setcc:
      return `set${CONDITIONS[condition]![0]}`;
    case Op.Cmovcc:
      return `cmov${CONDITIONS[condition]![0]}`;
    case Op.Movs:
    case Op.Cmps:
    case Op.Stos:
    case Op.Lods:
    case Op.Scas:
    case Op.Ins:
    case Op.Outs:
      return name.toLowerCase() + size;
    case Op.Cbw:
      return { 2: 'cbw', 4: 'cwde', 8: 'cdqe' }[operandSize]!;
    case Op.Cwd:
      return { 2: 'cwd', 4: 'cdq', 8: 'cqo' }[operandSize]!;
    case Op.Pushf:
    case Op.Popf:
      return name.toLowerCase() + (operandSize === 8 ? 'q' : operandSize === 4 ? 'd' : '');
    case Op.Pusha:
    case Op.Popa:
      return name.toLowerCase() + (operandSize === 4 ? 'd' : '');
    case Op.Iret:
    case Op.Sysret:
    case Op.Sysexit:
      return name.toLowerCase() + (operandSize === 8 ? 'q' : operandSize === 4 && op === Op.Iret ? 'd' : '');
    case Op.Jrcxz:
      return { 2: 'jcxz', 4: 'jecxz', 8: 'jrcxz' }[instruction.addressSize]!;
    case Op.Cmpxchg8b:
      return instruction.operands[0].size === 16 ? 'cmpxchg16b' : 'cmpxchg8b';
    default:
      return MNEMONIC_OF[name] ?? name.toLowerCase();
  }
}

const GPR64 = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const GPR32 = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'r8d', 'r9d', 'r10d', 'r11d', 'r12d', 'r13d', 'r14d', 'r15d'];
const GPR16 = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di', 'r8w', 'r9w', 'r10w', 'r11w', 'r12w', 'r13w', 'r14w', 'r15w'];
const GPR8 = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil', 'r8l', 'r9l', 'r10l', 'r11l', 'r12l', 'r13l', 'r14l', 'r15l'];
const HIGH8 = ['ah', 'ch', 'dh', 'bh'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const GPR_BY_SIZE: Readonly<Record<number, readonly string[]>> = { 1: GPR8, 2: GPR16, 4: GPR32, 8: GPR64 };

function registerName(operand: Operand): string {
  return operand.high8 ? HIGH8[operand.reg]! : GPR_BY_SIZE[operand.size]![operand.reg]!;
}

function u64(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

function immediateText(value: bigint, size: number): string {
  return `imm ${BigInt.asUintN(size * 8, value).toString(16)}`;
}

function memoryText(base: string, index: string, scale: number, disp: bigint, segment: string, size: number): string {
  return `mem${size} ${segment}[${base}+${index}*${scale}+0x${disp.toString(16)}]`;
}

/** Instructions whose memory operand has a size in our form; for the rest it says nothing (LEA, NOP, INVLPG, prefetches). */
const UNSIZED: ReadonlySet<Op> = new Set<Op>([Op.Lea, Op.Nop, Op.Prefetch, Op.Invlpg, Op.Clflush, Op.Clflushopt, Op.Clwb, Op.Ud0, Op.Ud1]);
const STATE_IMAGES: ReadonlySet<number> = new Set((['fxsave', 'fxrstor', 'xsave', 'xrstor', 'xsaveopt'] as const).map(simdOp));
/** Register operands that we call words and iced by the operand size, or the other way round: the number is compared, not the size. */
const WORD_REGISTERS: ReadonlySet<Op> = new Set<Op>([Op.MovSeg, Op.Lldt, Op.Ltr, Op.Verr, Op.Verw, Op.Lmsw, Op.Lar, Op.Lsl, Op.Arpl]);

function operandText(instruction: Instruction, i: number): string {
  const operand = instruction.operands[i]!;
  const { op } = instruction;
  switch (operand.kind) {
    case OperandKind.Xmm:
      return `xmm${operand.reg}`;
    case OperandKind.Mmx:
      return `mm${operand.reg}`;
    case OperandKind.Reg:
      return WORD_REGISTERS.has(op) || op >= firstSimdOp ? GPR64[operand.reg]! : registerName(operand);
    case OperandKind.SegReg:
      return SEGMENTS[operand.reg]!;
    case OperandKind.CtrlReg:
      return `cr${operand.reg}`;
    case OperandKind.DebugReg:
      return `dr${operand.reg}`;
    case OperandKind.Imm: {
      if (op === Op.JmpFar || op === Op.CallFar) return `far ${instruction.imm2.toString(16)}:${(instruction.immLo >>> 0).toString(16)}`;
      const value = i === 1 && op === Op.Enter ? BigInt(instruction.imm2) : u64(instruction.immLo, instruction.immHi);
      return immediateText(value, operand.size);
    }
    case OperandKind.Rel:
      return `rel ${BigInt.asUintN(mode === CodeMode.Bits64 ? 64 : 8 * instruction.operandSize, CODE_IP[mode] + BigInt(instruction.length) + u64(instruction.immLo, instruction.immHi)).toString(16)}`;
    case OperandKind.Mem: {
      const registers = GPR_BY_SIZE[instruction.addressSize]!;
      const rip = instruction.addressSize === 8 ? 'rip' : 'eip';
      const base = instruction.base === BASE_RIP ? rip : instruction.base < 0 ? '' : registers[instruction.base]!;
      const index = instruction.index < 0 ? '' : registers[instruction.index]!;
      let disp = u64(instruction.dispLo, instruction.dispHi);
      // iced adds the address of the next instruction to the displacement.
      if (instruction.base === BASE_RIP) disp += CODE_IP[mode] + BigInt(instruction.length);
      disp = BigInt.asUintN(instruction.addressSize * 8, disp);
      return memoryText(base, index, 1 << instruction.scale, disp, instruction.segment < 0 ? '' : SEGMENTS[instruction.segment]!, UNSIZED.has(op) || STATE_IMAGES.has(op) ? 0 : operand.size);
    }
    default:
      return 'none';
  }
}

function icedOperandText(ours: Instruction, theirs: iced.Instruction, i: number): string {
  const kind = theirs.opKind(i);
  const K = iced.OpKind;
  if (kind === K.Register) {
    const name = ICED_REGISTER.get(theirs.opRegister(i))!;
    if (!WORD_REGISTERS.has(ours.op) && ours.op < firstSimdOp) return name;
    for (const names of [GPR16, GPR32, GPR64]) if (names.includes(name)) return GPR64[names.indexOf(name)]!;
    return name;
  }
  if (kind === K.NearBranch64 || kind === K.NearBranch32 || kind === K.NearBranch16) return `rel ${theirs.nearBranchTarget.toString(16)}`;
  if (kind === K.FarBranch16) return `far ${theirs.farBranchSelector.toString(16)}:${theirs.farBranch16.toString(16)}`;
  if (kind === K.FarBranch32) return `far ${theirs.farBranchSelector.toString(16)}:${theirs.farBranch32.toString(16)}`;
  if (kind === K.Memory) {
    const none = iced.Register.None;
    const base = theirs.memoryBase === none ? '' : ICED_REGISTER.get(theirs.memoryBase)!;
    const index = theirs.memoryIndex === none ? '' : ICED_REGISTER.get(theirs.memoryIndex)!;
    // iced reports the ignored ES, CS, SS and DS prefixes too.
    const prefix = theirs.segmentPrefix === none ? '' : ICED_REGISTER.get(theirs.segmentPrefix)!;
    const segment = prefix === 'fs' || prefix === 'gs' || mode !== CodeMode.Bits64 ? prefix : '';
    const disp = BigInt.asUintN(ours.addressSize * 8, theirs.memoryDisplacement);
    const size = UNSIZED.has(ours.op) || STATE_IMAGES.has(ours.op) ? 0 : iced.MemorySizeExt.size(theirs.memorySize);
    return memoryText(base, index, index === '' ? 1 : theirs.memoryIndexScale, disp, segment, size);
  }
  return immediateText(theirs.immediate(i), ours.operands[i]!.size);
}

/** Instructions whose implicit operands iced lists and we do not. */
const IMPLICIT: ReadonlySet<Op> = new Set<Op>([Op.Movs, Op.Cmps, Op.Stos, Op.Lods, Op.Scas, Op.Ins, Op.Outs, Op.Xlat]);

/** iced lists their destination, memory at rDI, first. */
const MASKED_STORES: ReadonlySet<number> = new Set((['maskmovq', 'maskmovdqu'] as const).map(simdOp));

function describeOurs(instruction: Instruction): string {
  const operands = IMPLICIT.has(instruction.op) ? [] : Array.from({ length: instruction.operandCount }, (_, i) => operandText(instruction, i));
  return `${instruction.length}: ${instruction.lock ? 'lock ' : ''}${mnemonic(instruction)} ${operands.join(', ')}`;
}

function describeIced(ours: Instruction, theirs: iced.Instruction): string {
  const count = ours.op >= firstSimdOp ? ours.operandCount : theirs.opCount;
  const operands = IMPLICIT.has(ours.op) ? [] : Array.from({ length: count }, (_, i) => icedOperandText(ours, theirs, i + (MASKED_STORES.has(ours.op) ? 1 : 0)));
  return `${theirs.length}: ${theirs.hasLockPrefix ? 'lock ' : ''}${ICED_MNEMONIC.get(theirs.mnemonic)!} ${operands.join(', ')}`;
}

/** Every mnemonic this processor's opcode map can produce, as iced names them. */
const MNEMONICS: ReadonlySet<string> = (() => {
  const names = new Set<string>();
  const probe = createInstruction();
  for (const { op } of [...OPCODE_MAP_64, ...OPCODE_MAP_LEGACY, ...OPCODE_MAP_VEX]) {
    if (op === Op.X87) continue;
    for (const operandSize of [1, 2, 4, 8]) {
      for (const addressSize of [2, 4, 8]) {
        for (let condition = 0; condition < 16; condition++) {
          for (const size of [8, 16]) {
            Object.assign(probe, { op, operandSize, condition, addressSize });
            probe.operands[0].size = size;
            names.add(mnemonic(probe));
          }
        }
      }
    }
  }
  return names;
})();

const BMI: ReadonlySet<string> = new Set(OPCODE_MAP_VEX.map(({ op }) => OP_NAMES.get(op as Op)!.toLowerCase()));

/** Is the instruction iced found one that this processor should have? */
function isOurs(theirs: iced.Instruction): boolean {
  const name = ICED_MNEMONIC.get(theirs.mnemonic)!;
  if (theirs.encoding !== iced.EncodingKind.Legacy && !(theirs.encoding === iced.EncodingKind.VEX && BMI.has(name))) return false;
  if (!MNEMONICS.has(name)) return false;
  for (let i = 0; i < theirs.opCount; i++) {
    if (theirs.opKind(i) !== iced.OpKind.Register) continue;
    const register = ICED_REGISTER.get(theirs.opRegister(i))!;
    if (register.startsWith('cr') && !['cr0', 'cr2', 'cr3', 'cr4', 'cr8'].includes(register)) return false;
  }
  return true;
}

const HINTS = /^(nop|reservednop|cldemote|prefetch.*|bnd.*|rdssp.)$/;
const ours = createInstruction();

/** Undefined when both decoders agree about the bytes, else what they say. */
function disagreement(bytes: Uint8Array): string | undefined {
  const status = decode(bytes, 0, bytes.length, mode, ours);
  const theirs = decodeIced(bytes);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const theirName = theirs.code === iced.Code.INVALID ? 'invalid' : ICED_MNEMONIC.get(theirs.mnemonic)!;
  if (status === DecodeStatus.Ok) {
    if (ours.op === Op.X87) return theirName === 'invalid' || (theirName.startsWith('f') && theirs.length === ours.length) ? undefined : `${hex}: ours x87, iced ${theirs.length}: ${theirName}`;
    const a = describeOurs(ours);
    if (ours.op === Op.Nop || ours.op === Op.Prefetch) {
      if (theirName === 'invalid' && ours.op === Op.Nop) return undefined;
      return HINTS.test(theirName) && theirs.length === ours.length ? undefined : `${hex}: ours ${a}, iced ${theirs.length}: ${theirName}`;
    }
    if (theirName === 'invalid' || !isOurs(theirs)) return `${hex}: ours ${a}, iced ${theirName}`;
    const b = describeIced(ours, theirs);
    return a === b ? undefined : `${hex}: ours ${a}, iced ${b}`;
  }
  if (theirName === 'invalid' || !isOurs(theirs)) return undefined;
  return `${hex}: ours status ${status}, iced ${describeIced(ours, theirs)}`;
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 8;
  };
}

function expectAgreement(inMode: CodeMode, cases: Iterable<Uint8Array>): void {
  mode = inMode;
  const found: string[] = [];
  let accepted = 0;
  for (const bytes of cases) {
    const difference = disagreement(bytes);
    if (difference !== undefined && found.length < 20) found.push(difference);
    else accepted++;
  }
  expect(found).toEqual([]);
  expect(accepted).toBeGreaterThan(1000);
}

const PREFIXES: readonly (readonly number[])[] = [[], [0x66], [0xf2], [0xf3], [0xf0], [0x66, 0xf3], [0x64, 0x67]];
/** Any prefix but a segment's or 67 makes VEX invalid: one stands for all. */
const VEX_PREFIXES: readonly (readonly number[])[] = [[], [0xf3]];
const ESCAPES: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a], [0xc4, 0xe2, 0x78], [0xc4, 0xc2, 0xf8], [0xc4, 0xe2, 0x33], [0xc4, 0xe2, 0x32], [0xc4, 0xe2, 0x31], [0xc4, 0xe3, 0x7b], [0xc4, 0xe2, 0x7c], [0xc5, 0xf8]];

/** Every opcode after every prefix; `rexes` stand before the opcode. */
function* opcodeMap(rexes: (next: () => number) => readonly number[][]): Generator<Uint8Array> {
  const next = random(1);
  for (const escape of ESCAPES) {
    for (let opcode = 0; opcode < 256; opcode++) {
      for (const prefix of escape[0] === 0xc4 || escape[0] === 0xc5 ? VEX_PREFIXES : PREFIXES) {
        for (const rex of rexes(next)) {
          for (let modReg = 0; modReg < 32; modReg++) {
            const bytes = [...prefix, ...rex, ...escape, opcode, (modReg << 3) | (next() & 7)];
            while (bytes.length < 15) bytes.push(next() & 0xff);
            if (!isPauseWithRexB(bytes) && !(mode !== CodeMode.Bits64 && escape.length === 0 && opcode === 0xd6)) yield Uint8Array.from(bytes);
          }
        }
      }
    }
  }
}

/** The one opcode about which iced is not asked. */
function isPauseWithRexB(bytes: readonly number[]): boolean {
  const opcode = bytes.findIndex((byte) => byte === 0x90);
  return opcode > 0 && bytes.slice(0, opcode).includes(0xf3) && (bytes[opcode - 1]! & 0xf1) === 0x41;
}

function* randomCode(): Generator<Uint8Array> {
  const next = random(77);
  const legacy = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x48, 0x4d];
  for (let i = 0; i < 60_000; i++) {
    const bytes = Array.from({ length: next() % 4 }, () => legacy[next() % legacy.length]!);
    while (bytes.length < 1 + (next() % 15)) bytes.push(next() & 0xff);
    if (!isPauseWithRexB(bytes) && !(mode !== CodeMode.Bits64 && bytes.includes(0xd6))) yield Uint8Array.from(bytes);
  }
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16));
}

function decodeHex(hex: string): DecodeStatus {
  const bytes = bytesOf(hex);
  return decode(bytes, 0, bytes.length, CodeMode.Bits64, ours);
}

describe('decode, against iced-x86', () => {
  it('agrees about every opcode, prefix, ModRM.mod and ModRM.reg', { timeout: 60_000 }, () => {
    expectAgreement(CodeMode.Bits64, opcodeMap((next) => [[], [0x40 | (next() & 15)]]));
  });

  it.each([CodeMode.Bits16, CodeMode.Bits32])('agrees about every opcode, prefix, ModRM.mod and ModRM.reg of %i-bit code', { timeout: 60_000 }, (bits) => {
    expectAgreement(bits, opcodeMap(() => [[]]));
  });

  it.each([CodeMode.Bits16, CodeMode.Bits32])('agrees about random bytes in %i-bit code', { timeout: 60_000 }, (bits) => {
    expectAgreement(bits, randomCode());
  });

  it('agrees about random bytes with random prefixes, whole or cut off', { timeout: 60_000 }, () => {
    expectAgreement(CodeMode.Bits64, randomCode());
  });
});

describe('decode', () => {
  it('asks for more bytes at every cut of an instruction, and never reads a decision behind the window', () => {
    for (const hex of ['48 81 84 88 11 22 33 44 55 66 77 08', '48 b8 1 2 3 4 5 6 7 8', '66 f2 0f 38 f1 04 25 1 2 3 4', '48 a1 1 2 3 4 5 6 7 8', 'c8 10 00 01', 'f0 48 0f c7 0f']) {
      const bytes = bytesOf(hex);
      expect(decode(bytes, 0, bytes.length, CodeMode.Bits64, ours)).toBe(DecodeStatus.Ok);
      expect(ours.length).toBe(bytes.length);
      for (let available = 0; available < bytes.length; available++) {
        expect(decode(bytes, 0, available, CodeMode.Bits64, ours)).toBe(DecodeStatus.Truncated);
        expect(decode(bytes.subarray(0, available), 0, available, CodeMode.Bits64, ours)).toBe(DecodeStatus.Truncated);
      }
    }
  });

  it('decodes at an offset', () => {
    expect(decode(bytesOf('cc cc 83 c0 ff cc'), 2, 4, CodeMode.Bits64, ours)).toBe(DecodeStatus.Ok);
    expect([ours.op, ours.length, ours.immLo, ours.immHi]).toEqual([Op.Add, 3, -1, -1]);
  });

  it('faults on the sixteenth byte, not the fifteenth (SDM vol. 2, 2.3.11)', () => {
    const nops = (prefixes: number): Uint8Array => Uint8Array.from({ length: 16 }, (_, i) => (i < prefixes ? 0x66 : 0x90));
    expect(decode(nops(14), 0, 16, CodeMode.Bits64, ours)).toBe(DecodeStatus.Ok);
    expect(ours.length).toBe(15);
    expect(decode(nops(15), 0, 16, CodeMode.Bits64, ours)).toBe(DecodeStatus.TooLong);
    expect(decode(nops(16), 0, 15, CodeMode.Bits64, ours)).toBe(DecodeStatus.TooLong);
    expect(decode(nops(16), 0, 14, CodeMode.Bits64, ours)).toBe(DecodeStatus.Truncated);
  });

  it('takes XCHG r8, rAX from F3 90 with REX.B, and PAUSE without', () => {
    expect(decodeHex('f3 49 90')).toBe(DecodeStatus.Ok);
    expect([ours.op, ours.operands[0].reg, ours.operands[1].reg]).toEqual([Op.Xchg, 8, 0]);
    expect(decodeHex('f3 48 90')).toBe(DecodeStatus.Ok);
    expect([ours.op, ours.rep]).toEqual([Op.Pause, Rep.F3]);
  });

  it('drops a REX prefix that another prefix follows', () => {
    expect(decodeHex('48 66 01 c0')).toBe(DecodeStatus.Ok);
    expect(ours.operandSize).toBe(2);
    expect(decodeHex('66 48 01 c0')).toBe(DecodeStatus.Ok);
    expect(ours.operandSize).toBe(8);
  });

  it('refuses LOCK on registers and on what does not write (SDM vol. 2, LOCK)', () => {
    for (const hex of ['f0 01 c0', 'f0 39 00', 'f0 89 00', 'f0 0f a3 00', 'f0 03 00', 'f0 90', 'f0 0f 22 c0']) expect(decodeHex(hex)).toBe(DecodeStatus.Invalid);
    for (const hex of ['f0 01 00', 'f0 0f ab 00', 'f0 0f ba 28 01', 'f0 87 00', 'f0 0f c7 08', 'f0 f6 10']) {
      expect(decodeHex(hex)).toBe(DecodeStatus.Ok);
      expect(ours.lock).toBe(true);
    }
  });

  it('refuses control and segment registers that do not exist, and a load of CS', () => {
    for (const hex of ['0f 22 c8', '0f 20 e8', '44 0f 20 c8', '8e c8', '8e f0', '8c f8', '44 0f 23 c0']) expect(decodeHex(hex)).toBe(DecodeStatus.Invalid);
    for (const hex of ['0f 22 c0', '44 0f 20 c0', '8c c8', '8e d8']) expect(decodeHex(hex)).toBe(DecodeStatus.Ok);
    expect(decodeHex('0f 20 1c')).toBe(DecodeStatus.Ok);
    expect([ours.length, ours.operands[0].kind, ours.operands[0].reg, ours.operands[1].reg]).toEqual([3, OperandKind.Reg, 4, 3]);
  });

  it('tells the hypercall instructions apart', () => {
    const ops: readonly (readonly [string, Op])[] = [
      ['0f 01 c1', Op.Vmcall],
      ['0f 01 d9', Op.Vmmcall],
      ['f3 0f 01 d9', Op.Vmgexit],
      ['66 0f 01 cc', Op.Tdcall],
    ];
    for (const [hex, op] of ops) {
      expect(decodeHex(hex)).toBe(DecodeStatus.Ok);
      expect(ours.op).toBe(op);
    }
    expect(decodeHex('0f 01 cc')).toBe(DecodeStatus.Invalid);
  });
});
