/**
 * How an operand is encoded, in the notation of the SDM's opcode maps (volume 2, appendix A.2): a letter for the place
 * (E: ModRM.rm, G: ModRM.reg, Z: the opcode's low three bits, I: immediate …) and one for the size (b, w, d, v …).
 */

/** The place of an operand. */
export const Place = {
  None: 0,
  /** ModRM.rm, a register or memory. */
  Rm: 1,
  /** ModRM.reg. */
  Reg: 2,
  /** The opcode's low three bits and REX.B. */
  OpcodeReg: 3,
  /** rAX, rCX or rDX. */
  Accumulator: 4,
  Counter: 5,
  Data: 6,
  /** Segment, control or debug register of ModRM.reg; FS; GS. */
  SegReg: 7,
  CtrlReg: 8,
  DebugReg: 9,
  Fs: 10,
  Gs: 11,
  Immediate: 12,
  Relative: 13,
  /** Memory at an address that stands in place of the immediate. */
  Offset: 14,
  Es: 15,
  Cs: 16,
  Ss: 17,
  Ds: 18,
  /** XMM register of ModRM.reg; XMM register or memory of ModRM.rm; the same for MMX. */
  Xmm: 19,
  XmmRm: 20,
  Mmx: 21,
  MmxRm: 22,
  /** The general register of VEX.vvvv. */
  Vvvv: 23,
} as const;

/** The size of an operand. */
export const Size = {
  None: 0,
  Byte: 1,
  Word: 2,
  Qword: 3,
  /** The operand size (v). */
  Operand: 4,
  /** The operand size, but at most 4 bytes (z). */
  OperandMax4: 5,
  /** 8 with REX.W, else 4 (y). */
  RexW: 6,
  /** A register of the operand size or a word in memory (SLDT, MOV from a segment register). */
  OperandOrWord: 7,
  /** A far pointer: an offset of the operand size and a selector. */
  FarPointer: 8,
  /** Limit and base of a descriptor table. */
  Descriptor: 9,
  /** 16 with REX.W, else 8 (CMPXCHG8B). */
  RexWPair: 10,
  Oword: 11,
  /** 8 in 64-bit mode, else 4. */
  Native: 12,
  /** Two of the operand size (BOUND). */
  OperandPair: 13,
  Dword: 14,
  /** A byte, a word in memory; 4 bytes of a register. */
  ByteOrDword: 15,
  WordOrDword: 16,
} as const;

/** What stands behind ModRM and displacement. A form has at most one, of its last operands. */
export const Immediate = {
  None: 0,
  /** imm8, sign-extended. */
  Signed8: 1,
  /** imm8, zero-extended. */
  Unsigned8: 2,
  Unsigned16: 3,
  /** ENTER: imm16 and imm8. */
  Unsigned16And8: 4,
  /** imm16 or imm32 by operand size, sign-extended (z). */
  Operand32: 5,
  /** imm16, imm32 or imm64 by operand size (v). */
  Operand64: 6,
  /** No byte at all: the constant 1 of the shifts D0 and D1. */
  One: 7,
  Relative8: 8,
  /** rel32, or rel16 by operand size outside 64-bit mode, which has none (SDM; AMD's processors take one after 66). */
  Relative32: 9,
  /** An address of the address size. */
  Offset: 10,
  /** An offset of the operand size and a selector. */
  FarPointer: 11,
} as const;

/** One operand's encoding. */
export interface OperandEncoding {
  readonly place: number;
  readonly size: number;
  readonly immediate: number;
  /** The form exists only with a memory operand. */
  readonly memoryOnly: boolean;
}

function at(place: number, size: number, immediate: number = Immediate.None): OperandEncoding {
  return { place, size, immediate, memoryOnly: false };
}

function memory(size: number): OperandEncoding {
  return { place: Place.Rm, size, immediate: Immediate.None, memoryOnly: true };
}

/** The notation of {@link OpcodeForm} operands. */
export const OPERAND_ENCODINGS: Readonly<Record<string, OperandEncoding>> = {
  Eb: at(Place.Rm, Size.Byte),
  Ew: at(Place.Rm, Size.Word),
  Ev: at(Place.Rm, Size.Operand),
  Ez: at(Place.Rm, Size.OperandMax4),
  Ey: at(Place.Rm, Size.RexW),
  Evw: at(Place.Rm, Size.OperandOrWord),
  M: memory(Size.None),
  Mv: memory(Size.Operand),
  My: memory(Size.RexW),
  Mp: memory(Size.FarPointer),
  Ms: memory(Size.Descriptor),
  Mq: memory(Size.RexWPair),
  Mo: memory(Size.Oword),
  Rn: at(Place.Rm, Size.Native),
  En: at(Place.Rm, Size.Native),
  Ma: memory(Size.OperandPair),
  Ex: at(Place.Rm, Size.None),
  Ed: at(Place.Rm, Size.Dword),
  Rb: at(Place.Rm, Size.ByteOrDword),
  Rw: at(Place.Rm, Size.WordOrDword),
  Md: memory(Size.Dword),
  V: at(Place.Xmm, Size.Oword),
  Wo: at(Place.XmmRm, Size.Oword),
  Wq: at(Place.XmmRm, Size.Qword),
  Wd: at(Place.XmmRm, Size.Dword),
  Ww: at(Place.XmmRm, Size.Word),
  P: at(Place.Mmx, Size.Qword),
  Qq: at(Place.MmxRm, Size.Qword),
  Qd: at(Place.MmxRm, Size.Dword),
  By: at(Place.Vvvv, Size.RexW),
  Gb: at(Place.Reg, Size.Byte),
  Gd: at(Place.Reg, Size.Dword),
  Gv: at(Place.Reg, Size.Operand),
  Gy: at(Place.Reg, Size.RexW),
  Zb: at(Place.OpcodeReg, Size.Byte),
  Zv: at(Place.OpcodeReg, Size.Operand),
  AL: at(Place.Accumulator, Size.Byte),
  rAX: at(Place.Accumulator, Size.Operand),
  CL: at(Place.Counter, Size.Byte),
  DX: at(Place.Data, Size.Word),
  Sw: at(Place.SegReg, Size.Word),
  Gn: at(Place.Reg, Size.Native),
  Gw: at(Place.Reg, Size.Word),
  Cn: at(Place.CtrlReg, Size.Native),
  Dn: at(Place.DebugReg, Size.Native),
  ES: at(Place.Es, Size.Word),
  CS: at(Place.Cs, Size.Word),
  SS: at(Place.Ss, Size.Word),
  DS: at(Place.Ds, Size.Word),
  FS: at(Place.Fs, Size.Word),
  GS: at(Place.Gs, Size.Word),
  Ib: at(Place.Immediate, Size.Byte, Immediate.Unsigned8),
  sIb: at(Place.Immediate, Size.Operand, Immediate.Signed8),
  Iw: at(Place.Immediate, Size.Word, Immediate.Unsigned16),
  I2: at(Place.Immediate, Size.Byte),
  Iwb: at(Place.Immediate, Size.Word, Immediate.Unsigned16And8),
  Iz: at(Place.Immediate, Size.Operand, Immediate.Operand32),
  Iv: at(Place.Immediate, Size.Operand, Immediate.Operand64),
  '1': at(Place.Immediate, Size.Byte, Immediate.One),
  Ap: at(Place.Immediate, Size.FarPointer, Immediate.FarPointer),
  Jb: at(Place.Relative, Size.Operand, Immediate.Relative8),
  Jz: at(Place.Relative, Size.Operand, Immediate.Relative32),
  Ob: at(Place.Offset, Size.Byte, Immediate.Offset),
  Ov: at(Place.Offset, Size.Operand, Immediate.Offset),
};
