/**
 * What an instruction does, at the level of the manual's mnemonics: operand sizes, conditions and repetition are fields of
 * the decoded form. Numbers are dense and start at 1, so that tables can be indexed by them; 0 is no instruction.
 *
 * Names: Intel SDM volume 2, AMD APM volume 3.
 */
export const Op = {
  // Data movement.
  /** MOV between general registers, memory and immediates, moffs forms included. */
  Mov: 1,
  /** MOV to or from a segment register; the operand kinds tell the direction. */
  MovSeg: 2,
  /** MOV to or from a control register; the operand kinds tell the direction. */
  MovCr: 3,
  /** MOV to or from a debug register; the operand kinds tell the direction. */
  MovDr: 4,
  Movzx: 5,
  Movsx: 6,
  Movsxd: 7,
  Movbe: 8,
  Movnti: 9,
  Lea: 10,
  /** With a memory operand the bus is locked with or without the prefix. */
  Xchg: 11,
  /** AL = [rBX + AL]. */
  Xlat: 12,
  Bswap: 13,
  /** The condition is in `Instruction.condition`. */
  Cmovcc: 14,
  /** The condition is in `Instruction.condition`. */
  Setcc: 15,
  /** Operand Reg, Mem, Imm (sign-extended) or SegReg (FS, GS). */
  Push: 16,
  /** Operand Reg, Mem or SegReg (FS, GS). */
  Pop: 17,
  Pushf: 18,
  Popf: 19,
  Lahf: 20,
  Sahf: 21,
  /** `imm` is the frame size, `imm2` the nesting level. */
  Enter: 22,
  Leave: 23,
  /** CBW, CWDE, CDQE, by operand size. */
  Cbw: 24,
  /** CWD, CDQ, CQO, by operand size. */
  Cwd: 25,
  // Arithmetic and logic; Add to Cmp are in the order of the opcode map.
  Add: 26,
  Or: 27,
  Adc: 28,
  Sbb: 29,
  And: 30,
  Sub: 31,
  Xor: 32,
  Cmp: 33,
  Test: 34,
  Inc: 35,
  Dec: 36,
  Neg: 37,
  Not: 38,
  Mul: 39,
  /** One operand: rDX:rAX = rAX * r/m. Two: op0 *= op1. Three: op0 = op1 * imm. */
  Imul: 40,
  Div: 41,
  Idiv: 42,
  // Shifts; Rol to Sar are in the order of group 2, whose /6 is the alias of Shl.
  Rol: 43,
  Ror: 44,
  Rcl: 45,
  Rcr: 46,
  Shl: 47,
  Shr: 48,
  Sar: 49,
  Shld: 50,
  Shrd: 51,
  // Bits.
  /** With a memory operand and a register index the index reaches beyond the operand. */
  Bt: 52,
  Bts: 53,
  Btr: 54,
  Btc: 55,
  Bsf: 56,
  Bsr: 57,
  Popcnt: 58,
  Tzcnt: 59,
  Lzcnt: 60,
  Crc32: 61,
  // Exchange.
  Cmpxchg: 62,
  /** 8 bytes, or CMPXCHG16B when the memory operand's size is 16. */
  Cmpxchg8b: 63,
  Xadd: 64,
  // Control transfer.
  /** Near: Rel, Reg or Mem operand. */
  Jmp: 65,
  /** The condition is in `Instruction.condition`. */
  Jcc: 66,
  /** Near: Rel, Reg or Mem operand. */
  Call: 67,
  /** Near; an optional Imm operand is released from the stack. */
  Ret: 68,
  /** Through memory: offset of `operandSize` bytes, then a selector; or the Imm operand, whose offset is `imm` and whose selector is `imm2`. */
  JmpFar: 69,
  /** As JmpFar. */
  CallFar: 70,
  RetFar: 71,
  Iret: 72,
  Loop: 73,
  Loope: 74,
  Loopne: 75,
  /** JECXZ with 4-byte addresses, JCXZ with 2-byte ones. */
  Jrcxz: 76,
  /** INT n; the vector is `imm`. */
  Int: 77,
  Int3: 78,
  Int1: 79,
  Ud0: 80,
  Ud1: 81,
  Ud2: 82,
  // Strings; the width is `operandSize`, the repetition `rep`.
  Movs: 83,
  Cmps: 84,
  Stos: 85,
  Lods: 86,
  Scas: 87,
  Ins: 88,
  Outs: 89,
  // Port I/O.
  /** op0 is AL, AX or EAX, op1 an Imm or DX. */
  In: 90,
  /** op0 is an Imm or DX, op1 AL, AX or EAX. */
  Out: 91,
  // Flags.
  Cmc: 92,
  Clc: 93,
  Stc: 94,
  Cli: 95,
  Sti: 96,
  Cld: 97,
  Std: 98,
  Clac: 99,
  Stac: 100,
  // Hints and ordering.
  /** Any of the NOPs, with or without operands; operands are never accessed. */
  Nop: 101,
  Pause: 102,
  Prefetch: 103,
  /** ENDBR64 and ENDBR32. */
  Endbr: 104,
  Lfence: 105,
  Mfence: 106,
  Sfence: 107,
  Clflush: 108,
  Clflushopt: 109,
  Clwb: 110,
  Fwait: 111,
  // System.
  Hlt: 112,
  Cpuid: 113,
  Rdtsc: 114,
  Rdtscp: 115,
  Rdpmc: 116,
  Rdpid: 117,
  Rdrand: 118,
  Rdseed: 119,
  Rdmsr: 120,
  Wrmsr: 121,
  Syscall: 122,
  Sysret: 123,
  Sysenter: 124,
  Sysexit: 125,
  Swapgs: 126,
  Rdfsbase: 127,
  Rdgsbase: 128,
  Wrfsbase: 129,
  Wrgsbase: 130,
  Sgdt: 131,
  Sidt: 132,
  Lgdt: 133,
  Lidt: 134,
  Sldt: 135,
  Str: 136,
  Lldt: 137,
  Ltr: 138,
  Verr: 139,
  Verw: 140,
  Lar: 141,
  Lsl: 142,
  Smsw: 143,
  Lmsw: 144,
  Clts: 145,
  Invd: 146,
  Wbinvd: 147,
  Wbnoinvd: 148,
  Invlpg: 149,
  Invpcid: 150,
  Xgetbv: 151,
  Xsetbv: 152,
  Monitor: 153,
  Mwait: 154,
  Vmcall: 155,
  Vmmcall: 156,
  Vmgexit: 157,
  Tdcall: 158,
  // 16- and 32-bit modes; LSS, LFS and LGS in 64-bit mode too.
  Pusha: 159,
  Popa: 160,
  /** #BR when the register is outside the two signed bounds in memory. */
  Bound: 161,
  Arpl: 162,
  Daa: 163,
  Das: 164,
  Aaa: 165,
  Aas: 166,
  /** The base is `imm`. */
  Aam: 167,
  /** The base is `imm`. */
  Aad: 168,
  Salc: 169,
  Into: 170,
  /** A far pointer from memory into a segment register and a general one. */
  Les: 171,
  Lds: 172,
  Lss: 173,
  Lfs: 174,
  Lgs: 175,
  // BMI1, BMI2 and ADX.
  Andn: 176,
  Bextr: 177,
  Blsi: 178,
  Blsmsk: 179,
  Blsr: 180,
  Bzhi: 181,
  Mulx: 182,
  Pdep: 183,
  Pext: 184,
  Rorx: 185,
  Sarx: 186,
  Shlx: 187,
  Shrx: 188,
  Adcx: 189,
  Adox: 190,
  /** Any instruction of the x87 but FWAIT: `imm2` is the low three bits of the opcode and the ModRM byte. */
  X87: 191,
} as const;

/** One value of {@link Op}. */
export type Op = (typeof Op)[keyof typeof Op];

/** One more than the largest {@link Op}: the length of a table indexed by it. */
export const OP_COUNT = 192;
