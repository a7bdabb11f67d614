import { Op } from './op.js';
import { OPCODE_MAP_SIMD } from './opcode-map-simd.js';

/** Properties of an {@link OpcodeForm}, to be or-ed. */
export const FormFlag = {
  /** The operand size is one byte. */
  Byte: 1 << 0,
  /** LOCK is legal when operand 0 is memory (SDM vol. 2, LOCK). */
  Lock: 1 << 1,
  /** The operand size of 64-bit mode is 8 without a prefix, 2 with 66 (stack operations). */
  Default64: 1 << 2,
  /** The operand size of 64-bit mode is 8 whatever the prefixes (near branches, MOV CR). */
  Force64: 1 << 3,
  /** REX.W means 4 bytes, not 8 (port I/O). */
  Max32: 1 << 4,
  /** The opcode's low four bits are a condition. */
  Condition: 1 << 5,
  /** ModRM.rm is a register whatever ModRM.mod says. */
  RegisterRm: 1 << 6,
  /** `imm2` tells the opcode's low three bits and the ModRM byte. */
  KeepModRm: 1 << 7,
} as const;

/**
 * One row of the opcode map.
 *
 * `opcode` is written with its escape bytes: 0x89, 0x0fb6, 0x0f38f0. `match` narrows it by ModRM and by mandatory prefix: `/4` is ModRM.reg, `=C1` the whole
 * ModRM byte, `mem` and `reg` the kind of ModRM.rm; NP (none), 66, F2 and F3 are the prefixes it exists with, all when none is named. The first row
 * that matches counts.
 */
export interface OpcodeForm {
  readonly opcode: number;
  readonly match: string;
  /** An `Op`, or the number of a vector instruction. */
  readonly op: number;
  readonly operands: string;
  readonly flags: number;
}

const B = FormFlag.Byte;
const L = FormFlag.Lock;
const D64 = FormFlag.Default64;
const F64 = FormFlag.Force64;
const M32 = FormFlag.Max32;
const CC = FormFlag.Condition;
const RRM = FormFlag.RegisterRm;

function form(opcode: number, match: string, op: Op, operands = '', flags = 0): OpcodeForm {
  return { opcode, match, op, operands, flags };
}

function range(count: number, make: (i: number) => OpcodeForm): OpcodeForm[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

const GROUP_1 = [Op.Add, Op.Or, Op.Adc, Op.Sbb, Op.And, Op.Sub, Op.Xor, Op.Cmp] as const;
/** /6 is an alias of SHL that both vendors' processors execute. */
const GROUP_2 = [Op.Rol, Op.Ror, Op.Rcl, Op.Rcr, Op.Shl, Op.Shr, Op.Shl, Op.Sar] as const;

/** 00–3F but the prefixes and what 64-bit mode took away. CMP writes nothing and takes no LOCK. */
const arithmetic = GROUP_1.flatMap((op, i) => {
  const lock = op === Op.Cmp ? 0 : L;
  return [
    form(i * 8 + 0, '', op, 'Eb Gb', B | lock),
    form(i * 8 + 1, '', op, 'Ev Gv', lock),
    form(i * 8 + 2, '', op, 'Gb Eb', B),
    form(i * 8 + 3, '', op, 'Gv Ev'),
    form(i * 8 + 4, '', op, 'AL sIb', B),
    form(i * 8 + 5, '', op, 'rAX Iz'),
    form(0x80, `/${i}`, op, 'Eb sIb', B | lock),
    form(0x81, `/${i}`, op, 'Ev Iz', lock),
    form(0x83, `/${i}`, op, 'Ev sIb', lock),
  ];
});

const shifts = GROUP_2.flatMap((op, i) => [
  form(0xc0, `/${i}`, op, 'Eb Ib', B),
  form(0xc1, `/${i}`, op, 'Ev Ib'),
  form(0xd0, `/${i}`, op, 'Eb 1', B),
  form(0xd1, `/${i}`, op, 'Ev 1'),
  form(0xd2, `/${i}`, op, 'Eb CL', B),
  form(0xd3, `/${i}`, op, 'Ev CL'),
]);

const oneByte: readonly OpcodeForm[] = [
  ...arithmetic,
  ...range(8, (i) => form(0x50 + i, '', Op.Push, 'Zv', D64)),
  ...range(8, (i) => form(0x58 + i, '', Op.Pop, 'Zv', D64)),
  form(0x63, '', Op.Movsxd, 'Gv Ez'),
  form(0x68, '', Op.Push, 'Iz', D64),
  form(0x69, '', Op.Imul, 'Gv Ev Iz'),
  form(0x6a, '', Op.Push, 'sIb', D64),
  form(0x6b, '', Op.Imul, 'Gv Ev sIb'),
  form(0x6c, '', Op.Ins, '', B),
  form(0x6d, '', Op.Ins, '', M32),
  form(0x6e, '', Op.Outs, '', B),
  form(0x6f, '', Op.Outs, '', M32),
  ...range(16, (i) => form(0x70 + i, '', Op.Jcc, 'Jb', F64 | CC)),
  form(0x84, '', Op.Test, 'Eb Gb', B),
  form(0x85, '', Op.Test, 'Ev Gv'),
  form(0x86, '', Op.Xchg, 'Eb Gb', B | L),
  form(0x87, '', Op.Xchg, 'Ev Gv', L),
  form(0x88, '', Op.Mov, 'Eb Gb', B),
  form(0x89, '', Op.Mov, 'Ev Gv'),
  form(0x8a, '', Op.Mov, 'Gb Eb', B),
  form(0x8b, '', Op.Mov, 'Gv Ev'),
  form(0x8c, '', Op.MovSeg, 'Evw Sw'),
  form(0x8d, '', Op.Lea, 'Gv M'),
  form(0x8e, '', Op.MovSeg, 'Sw Ew'),
  form(0x8f, '/0', Op.Pop, 'Ev', D64),
  // With REX.B, 90 is XCHG r8, rAX: the decoder reads 91's row then.
  form(0x90, 'F3', Op.Pause),
  form(0x90, '', Op.Nop),
  ...range(7, (i) => form(0x91 + i, '', Op.Xchg, 'Zv rAX')),
  form(0x98, '', Op.Cbw),
  form(0x99, '', Op.Cwd),
  form(0x9b, '', Op.Fwait),
  form(0x9c, '', Op.Pushf, '', D64),
  form(0x9d, '', Op.Popf, '', D64),
  form(0x9e, '', Op.Sahf),
  form(0x9f, '', Op.Lahf),
  form(0xa0, '', Op.Mov, 'AL Ob', B),
  form(0xa1, '', Op.Mov, 'rAX Ov'),
  form(0xa2, '', Op.Mov, 'Ob AL', B),
  form(0xa3, '', Op.Mov, 'Ov rAX'),
  form(0xa4, '', Op.Movs, '', B),
  form(0xa5, '', Op.Movs),
  form(0xa6, '', Op.Cmps, '', B),
  form(0xa7, '', Op.Cmps),
  form(0xa8, '', Op.Test, 'AL sIb', B),
  form(0xa9, '', Op.Test, 'rAX Iz'),
  form(0xaa, '', Op.Stos, '', B),
  form(0xab, '', Op.Stos),
  form(0xac, '', Op.Lods, '', B),
  form(0xad, '', Op.Lods),
  form(0xae, '', Op.Scas, '', B),
  form(0xaf, '', Op.Scas),
  ...range(8, (i) => form(0xb0 + i, '', Op.Mov, 'Zb sIb', B)),
  ...range(8, (i) => form(0xb8 + i, '', Op.Mov, 'Zv Iv')),
  ...shifts,
  form(0xc2, '', Op.Ret, 'Iw', F64),
  form(0xc3, '', Op.Ret, '', F64),
  form(0xc6, '/0', Op.Mov, 'Eb sIb', B),
  form(0xc7, '/0', Op.Mov, 'Ev Iz'),
  form(0xc8, '', Op.Enter, 'Iwb I2', D64),
  form(0xc9, '', Op.Leave, '', D64),
  form(0xca, '', Op.RetFar, 'Iw'),
  form(0xcb, '', Op.RetFar),
  form(0xcc, '', Op.Int3),
  form(0xcd, '', Op.Int, 'Ib'),
  form(0xcf, '', Op.Iret),
  form(0xd7, '', Op.Xlat, '', B),
  form(0xe0, '', Op.Loopne, 'Jb', F64),
  form(0xe1, '', Op.Loope, 'Jb', F64),
  form(0xe2, '', Op.Loop, 'Jb', F64),
  form(0xe3, '', Op.Jrcxz, 'Jb', F64),
  form(0xe4, '', Op.In, 'AL Ib', B),
  form(0xe5, '', Op.In, 'rAX Ib', M32),
  form(0xe6, '', Op.Out, 'Ib AL', B),
  form(0xe7, '', Op.Out, 'Ib rAX', M32),
  form(0xe8, '', Op.Call, 'Jz', F64),
  form(0xe9, '', Op.Jmp, 'Jz', F64),
  form(0xeb, '', Op.Jmp, 'Jb', F64),
  form(0xec, '', Op.In, 'AL DX', B),
  form(0xed, '', Op.In, 'rAX DX', M32),
  form(0xee, '', Op.Out, 'DX AL', B),
  form(0xef, '', Op.Out, 'DX rAX', M32),
  form(0xf1, '', Op.Int1),
  form(0xf4, '', Op.Hlt),
  form(0xf5, '', Op.Cmc),
  // /1 is an alias of TEST that both vendors' processors execute.
  form(0xf6, '/0', Op.Test, 'Eb sIb', B),
  form(0xf6, '/1', Op.Test, 'Eb sIb', B),
  form(0xf6, '/2', Op.Not, 'Eb', B | L),
  form(0xf6, '/3', Op.Neg, 'Eb', B | L),
  form(0xf6, '/4', Op.Mul, 'Eb', B),
  form(0xf6, '/5', Op.Imul, 'Eb', B),
  form(0xf6, '/6', Op.Div, 'Eb', B),
  form(0xf6, '/7', Op.Idiv, 'Eb', B),
  form(0xf7, '/0', Op.Test, 'Ev Iz'),
  form(0xf7, '/1', Op.Test, 'Ev Iz'),
  form(0xf7, '/2', Op.Not, 'Ev', L),
  form(0xf7, '/3', Op.Neg, 'Ev', L),
  form(0xf7, '/4', Op.Mul, 'Ev'),
  form(0xf7, '/5', Op.Imul, 'Ev'),
  form(0xf7, '/6', Op.Div, 'Ev'),
  form(0xf7, '/7', Op.Idiv, 'Ev'),
  form(0xf8, '', Op.Clc),
  form(0xf9, '', Op.Stc),
  form(0xfa, '', Op.Cli),
  form(0xfb, '', Op.Sti),
  form(0xfc, '', Op.Cld),
  form(0xfd, '', Op.Std),
  form(0xfe, '/0', Op.Inc, 'Eb', B | L),
  form(0xfe, '/1', Op.Dec, 'Eb', B | L),
  form(0xff, '/0', Op.Inc, 'Ev', L),
  form(0xff, '/1', Op.Dec, 'Ev', L),
  form(0xff, '/2', Op.Call, 'Ev', F64),
  form(0xff, '/3', Op.CallFar, 'Mp'),
  form(0xff, '/4', Op.Jmp, 'Ev', F64),
  form(0xff, '/5', Op.JmpFar, 'Mp'),
  form(0xff, '/6', Op.Push, 'Ev', D64),
];

const twoByte: readonly OpcodeForm[] = [
  form(0x0f00, '/0', Op.Sldt, 'Evw'),
  form(0x0f00, '/1', Op.Str, 'Evw'),
  form(0x0f00, '/2', Op.Lldt, 'Ew'),
  form(0x0f00, '/3', Op.Ltr, 'Ew'),
  form(0x0f00, '/4', Op.Verr, 'Ew'),
  form(0x0f00, '/5', Op.Verw, 'Ew'),
  form(0x0f01, '=C1 NP', Op.Vmcall),
  form(0x0f01, '=C8 NP', Op.Monitor),
  form(0x0f01, '=C9 NP', Op.Mwait),
  form(0x0f01, '=CA NP', Op.Clac),
  form(0x0f01, '=CB NP', Op.Stac),
  form(0x0f01, '=CC 66', Op.Tdcall),
  form(0x0f01, '=D0 NP', Op.Xgetbv),
  form(0x0f01, '=D1 NP', Op.Xsetbv),
  form(0x0f01, '=D9 NP 66', Op.Vmmcall),
  form(0x0f01, '=D9 F2 F3', Op.Vmgexit),
  form(0x0f01, '=F8', Op.Swapgs),
  form(0x0f01, '=F9', Op.Rdtscp),
  form(0x0f01, '/0 mem', Op.Sgdt, 'Ms', F64),
  form(0x0f01, '/1 mem', Op.Sidt, 'Ms', F64),
  form(0x0f01, '/2 mem', Op.Lgdt, 'Ms', F64),
  form(0x0f01, '/3 mem', Op.Lidt, 'Ms', F64),
  form(0x0f01, '/4', Op.Smsw, 'Evw'),
  form(0x0f01, '/6', Op.Lmsw, 'Ew'),
  form(0x0f01, '/7 mem', Op.Invlpg, 'M'),
  form(0x0f02, '', Op.Lar, 'Gv Ew'),
  form(0x0f03, '', Op.Lsl, 'Gv Ew'),
  form(0x0f05, '', Op.Syscall),
  form(0x0f06, '', Op.Clts),
  form(0x0f07, '', Op.Sysret),
  form(0x0f08, '', Op.Invd),
  form(0x0f09, 'F3', Op.Wbnoinvd),
  form(0x0f09, '', Op.Wbinvd),
  form(0x0f0b, '', Op.Ud2),
  form(0x0f0d, 'mem', Op.Prefetch, 'M'),
  form(0x0f18, '/0 mem', Op.Prefetch, 'M'),
  form(0x0f18, '/1 mem', Op.Prefetch, 'M'),
  form(0x0f18, '/2 mem', Op.Prefetch, 'M'),
  form(0x0f18, '/3 mem', Op.Prefetch, 'M'),
  form(0x0f1e, '=FA F3', Op.Endbr),
  form(0x0f1e, '=FB F3', Op.Endbr),
  ...range(8, (i) => form(0x0f18 + i, '', Op.Nop, 'Ev')),
  form(0x0f20, '', Op.MovCr, 'Rn Cn', F64 | RRM),
  form(0x0f21, '', Op.MovDr, 'Rn Dn', F64 | RRM),
  form(0x0f22, '', Op.MovCr, 'Cn Rn', F64 | RRM),
  form(0x0f23, '', Op.MovDr, 'Dn Rn', F64 | RRM),
  form(0x0f30, '', Op.Wrmsr),
  form(0x0f31, '', Op.Rdtsc),
  form(0x0f32, '', Op.Rdmsr),
  form(0x0f33, '', Op.Rdpmc),
  form(0x0f34, '', Op.Sysenter),
  form(0x0f35, '', Op.Sysexit),
  ...range(16, (i) => form(0x0f40 + i, '', Op.Cmovcc, 'Gv Ev', CC)),
  ...range(16, (i) => form(0x0f80 + i, '', Op.Jcc, 'Jz', F64 | CC)),
  ...range(16, (i) => form(0x0f90 + i, '', Op.Setcc, 'Eb', B | CC)),
  form(0x0fa0, '', Op.Push, 'FS', D64),
  form(0x0fa1, '', Op.Pop, 'FS', D64),
  form(0x0fa2, '', Op.Cpuid),
  form(0x0fa3, '', Op.Bt, 'Ev Gv'),
  form(0x0fa4, '', Op.Shld, 'Ev Gv Ib'),
  form(0x0fa5, '', Op.Shld, 'Ev Gv CL'),
  form(0x0fa8, '', Op.Push, 'GS', D64),
  form(0x0fa9, '', Op.Pop, 'GS', D64),
  form(0x0fab, '', Op.Bts, 'Ev Gv', L),
  form(0x0fac, '', Op.Shrd, 'Ev Gv Ib'),
  form(0x0fad, '', Op.Shrd, 'Ev Gv CL'),
  form(0x0fae, '/0 reg F3', Op.Rdfsbase, 'Ey'),
  form(0x0fae, '/1 reg F3', Op.Rdgsbase, 'Ey'),
  form(0x0fae, '/2 reg F3', Op.Wrfsbase, 'Ey'),
  form(0x0fae, '/3 reg F3', Op.Wrgsbase, 'Ey'),
  form(0x0fae, '/5 reg NP', Op.Lfence),
  form(0x0fae, '/6 reg NP', Op.Mfence),
  form(0x0fae, '/7 reg NP', Op.Sfence),
  form(0x0fae, '/6 mem 66', Op.Clwb, 'M'),
  form(0x0fae, '/7 mem NP', Op.Clflush, 'M'),
  form(0x0fae, '/7 mem 66', Op.Clflushopt, 'M'),
  form(0x0faf, '', Op.Imul, 'Gv Ev'),
  form(0x0fb0, '', Op.Cmpxchg, 'Eb Gb', B | L),
  form(0x0fb1, '', Op.Cmpxchg, 'Ev Gv', L),
  form(0x0fb2, '', Op.Lss, 'Gv Mp'),
  form(0x0fb3, '', Op.Btr, 'Ev Gv', L),
  form(0x0fb4, '', Op.Lfs, 'Gv Mp'),
  form(0x0fb5, '', Op.Lgs, 'Gv Mp'),
  form(0x0fb6, '', Op.Movzx, 'Gv Eb'),
  form(0x0fb7, '', Op.Movzx, 'Gv Ew'),
  form(0x0fb8, 'F3', Op.Popcnt, 'Gv Ev'),
  form(0x0fb9, '', Op.Ud1, 'Gv Ev'),
  form(0x0fba, '/4', Op.Bt, 'Ev Ib'),
  form(0x0fba, '/5', Op.Bts, 'Ev Ib', L),
  form(0x0fba, '/6', Op.Btr, 'Ev Ib', L),
  form(0x0fba, '/7', Op.Btc, 'Ev Ib', L),
  form(0x0fbb, '', Op.Btc, 'Ev Gv', L),
  form(0x0fbc, 'F3', Op.Tzcnt, 'Gv Ev'),
  form(0x0fbc, '', Op.Bsf, 'Gv Ev'),
  form(0x0fbd, 'F3', Op.Lzcnt, 'Gv Ev'),
  form(0x0fbd, '', Op.Bsr, 'Gv Ev'),
  form(0x0fbe, '', Op.Movsx, 'Gv Eb'),
  form(0x0fbf, '', Op.Movsx, 'Gv Ew'),
  form(0x0fc0, '', Op.Xadd, 'Eb Gb', B | L),
  form(0x0fc1, '', Op.Xadd, 'Ev Gv', L),
  form(0x0fc3, 'NP', Op.Movnti, 'My Gy'),
  form(0x0fc7, '/1 mem', Op.Cmpxchg8b, 'Mq', L),
  form(0x0fc7, '/6 reg NP 66', Op.Rdrand, 'Ev'),
  form(0x0fc7, '/7 reg NP 66', Op.Rdseed, 'Ev'),
  form(0x0fc7, '/7 reg F3', Op.Rdpid, 'En', F64),
  ...range(8, (i) => form(0x0fc8 + i, '', Op.Bswap, 'Zv')),
  form(0x0fff, '', Op.Ud0, 'Gv Ev'),
];

/** D8 to DF: which instruction it is says the ModRM byte. */
const x87 = range(8, (i) => form(0xd8 + i, '', Op.X87, 'Ex', FormFlag.KeepModRm));

const threeByte: readonly OpcodeForm[] = [
  form(0x0f3882, '66', Op.Invpcid, 'Gn Mo', F64),
  form(0x0f38f0, 'NP 66', Op.Movbe, 'Gv Mv'),
  form(0x0f38f0, 'F2', Op.Crc32, 'Gy Eb'),
  form(0x0f38f1, 'NP 66', Op.Movbe, 'Mv Gv'),
  form(0x0f38f1, 'F2', Op.Crc32, 'Gy Ev'),
  form(0x0f38f6, '66', Op.Adcx, 'Gy Ey'),
  form(0x0f38f6, 'F3', Op.Adox, 'Gy Ey'),
];

/**
 * The opcodes of 64-bit mode without VEX and EVEX. SDM volume 2, appendix A, and APM volume 3, appendix A.
 */
export const OPCODE_MAP_64: readonly OpcodeForm[] = [...oneByte, ...twoByte, ...threeByte, ...x87, ...OPCODE_MAP_SIMD];
