import type { Op } from './op.js';

/** What the decoder made of the bytes. */
export const DecodeStatus = {
  /** The instruction is complete. */
  Ok: 0,
  /** More bytes are needed than were available; fewer than 15 have been looked at. */
  Truncated: 1,
  /** #UD: not an instruction in this mode, not one this processor has, or an illegal LOCK. */
  Invalid: 2,
  /** #GP(0): longer than 15 bytes (SDM vol. 2, 2.3.11). */
  TooLong: 3,
} as const;

/** One value of {@link DecodeStatus}. */
export type DecodeStatus = (typeof DecodeStatus)[keyof typeof DecodeStatus];

/** The code segment's kind: what operands and addresses are without a prefix. */
export const CodeMode = {
  /** Real mode, and 16-bit segments of protected and compatibility mode: CS.D clear. */
  Bits16: 16,
  /** 32-bit segments of protected and compatibility mode: CS.D set. */
  Bits32: 32,
  /** 64-bit mode: EFER.LMA and CS.L. */
  Bits64: 64,
} as const;

/** One value of {@link CodeMode}. */
export type CodeMode = (typeof CodeMode)[keyof typeof CodeMode];

/** Where an operand lives. */
export const OperandKind = {
  None: 0,
  /** General register `reg`; with `high8`, bits 15:8 of it (AH, CH, DH, BH). */
  Reg: 1,
  /** Memory, addressed by the instruction's `base`, `index`, `scale` and `disp`. */
  Mem: 2,
  /** The instruction's `imm` (ENTER's second operand: `imm2`). */
  Imm: 3,
  /** The instruction's `imm`, to be added to the address of the next instruction. */
  Rel: 4,
  /** Segment register `reg`: 0..5 = ES CS SS DS FS GS. */
  SegReg: 5,
  /** Control register `reg`: 0, 2, 3, 4 or 8. */
  CtrlReg: 6,
  /** Debug register `reg`: 0..7. */
  DebugReg: 7,
  /** XMM register `reg`: 0..15. */
  Xmm: 8,
  /** MMX register `reg`: 0..7. */
  Mmx: 9,
} as const;

/** One value of {@link OperandKind}. */
export type OperandKind = (typeof OperandKind)[keyof typeof OperandKind];

/** Prefix values of {@link Instruction.rep}. */
export const Rep = { None: 0, F2: 2, F3: 3 } as const;

/** One value of {@link Rep}. */
export type Rep = (typeof Rep)[keyof typeof Rep];

/** {@link Instruction.base} of an address relative to the next instruction. */
export const BASE_RIP = 16;

/** The longest instruction, in bytes. */
export const MAX_INSTRUCTION_LENGTH = 15;

/** One operand of an {@link Instruction}. */
export interface Operand {
  kind: OperandKind;
  /** Bytes. Memory of no particular size (LEA, INVLPG, NOP) has 0; descriptor-table operands have 10 (6 outside 64-bit mode); far pointers 2 + `operandSize`. */
  size: number;
  /** Register number, 0..15, where the kind has one. */
  reg: number;
  /** The byte register is AH, CH, DH or BH, and `reg` is 0..3. */
  high8: boolean;
}

/**
 * A decoded instruction. One object is filled again and again by `decode`; after any status but Ok its fields mean nothing.
 *
 * Implicit operands (string pointers, rAX of MUL, the stack) are not listed; those of IN, OUT and shifts by CL are.
 */
export interface Instruction {
  /** Bytes, prefixes included. */
  length: number;
  /** Or the number of a vector instruction, see `simdOp`. */
  op: Op;
  /** Effective operand size in bytes: 1, 2, 4 or 8. In 64-bit mode stack operations have 8 or 2, near branches 8. */
  operandSize: number;
  /** Effective address size in bytes: 2, 4 or 8. The sum of base, index and displacement is cut to it before the segment base is added. */
  addressSize: number;
  /** Condition code 0..15 of Jcc, SETcc and CMOVcc (SDM vol. 1, appendix B); 0 otherwise. */
  condition: number;
  /** The last F2 or F3 prefix, also where it selected the opcode or means nothing. */
  rep: Rep;
  /** A LOCK prefix, and a legal one. */
  lock: boolean;
  /** Segment override: -1 none, or 0..5 = ES CS SS DS FS GS. In 64-bit mode only FS and GS count, others are reported as none. */
  segment: number;
  /** How many of `operands` are used, 0..3. */
  operandCount: number;
  readonly operands: readonly [Operand, Operand, Operand];
  /** Base register: -1 none, 0..15, or {@link BASE_RIP}. */
  base: number;
  /** Index register: -1 none, 0..15 (never 4). */
  index: number;
  /** Index shift, 0..3. */
  scale: number;
  /** Low half of the displacement, an int32. */
  dispLo: number;
  /** High half, an int32: the sign of the displacement, or the upper half of a 64-bit moffs. */
  dispHi: number;
  /**
   * Low half of the immediate or branch displacement, an int32. Arithmetic immediates, PUSH and branch displacements are sign-extended to 64 bits,
   * whatever the operand size; shift counts, bit indexes, ports, vectors and the stack bytes of RET and ENTER are zero-extended.
   */
  immLo: number;
  /** High half of the immediate, an int32. */
  immHi: number;
  /** ENTER's nesting level byte; the selector of a direct far transfer; what `Op.X87` says. */
  imm2: number;
}

function createOperand(): Operand {
  return { kind: OperandKind.None, size: 0, reg: 0, high8: false };
}

/** A blank instruction for `decode` to fill. */
export function createInstruction(): Instruction {
  return {
    length: 0,
    op: 1,
    operandSize: 0,
    addressSize: 0,
    condition: 0,
    rep: Rep.None,
    lock: false,
    segment: -1,
    operandCount: 0,
    operands: [createOperand(), createOperand(), createOperand()],
    base: -1,
    index: -1,
    scale: 0,
    dispLo: 0,
    dispHi: 0,
    immLo: 0,
    immHi: 0,
    imm2: 0,
  };
}

const SS = 2;
const DS = 3;
const RSP = 4;
const RBP = 5;

/** The segment of a memory operand outside 64-bit mode: SS when the base is BP or SP, DS otherwise, unless a prefix says which (SDM vol. 1, 3.7.4). */
export function segmentOf(instruction: Instruction): number {
  const { segment, base } = instruction;
  if (segment >= 0) return segment;
  return base === RSP || base === RBP ? SS : DS;
}
