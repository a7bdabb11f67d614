import { OP_COUNT } from './op.js';

/** Mnemonics of the vector instructions (SDM volume 2); one may stand for an MMX and an XMM form, which the operands tell apart. */
export const SIMD_OPS = [
  'addpd', 'addps', 'addsd', 'addss', 'addsubpd', 'addsubps', 'aesdec', 'aesdeclast', 'aesenc', 'aesenclast', 'aesimc', 'aeskeygenassist', 'andnpd',
  'andnps', 'andpd', 'andps', 'blendpd', 'blendps', 'blendvpd', 'blendvps', 'cmppd', 'cmpps', 'cmpsd', 'cmpss', 'comisd', 'comiss', 'cvtdq2pd',
  'cvtdq2ps', 'cvtpd2dq', 'cvtpd2pi', 'cvtpd2ps', 'cvtpi2pd', 'cvtpi2ps', 'cvtps2dq', 'cvtps2pd', 'cvtps2pi', 'cvtsd2si', 'cvtsd2ss', 'cvtsi2sd',
  'cvtsi2ss', 'cvtss2sd', 'cvtss2si', 'cvttpd2dq', 'cvttpd2pi', 'cvttps2dq', 'cvttps2pi', 'cvttsd2si', 'cvttss2si', 'divpd', 'divps', 'divsd',
  'divss', 'dppd', 'dpps', 'emms', 'extractps', 'fxrstor', 'fxsave', 'haddpd', 'haddps', 'hsubpd', 'hsubps', 'insertps', 'lddqu', 'ldmxcsr',
  'maskmovdqu', 'maskmovq', 'maxpd', 'maxps', 'maxsd', 'maxss', 'minpd', 'minps', 'minsd', 'minss', 'movapd', 'movaps', 'movd', 'movddup', 'movdq2q',
  'movdqa', 'movdqu', 'movhlps', 'movhpd', 'movhps', 'movlhps', 'movlpd', 'movlps', 'movmskpd', 'movmskps', 'movntdq', 'movntdqa', 'movntpd',
  'movntps', 'movntq', 'movq', 'movq2dq', 'movsd', 'movshdup', 'movsldup', 'movss', 'movupd', 'movups', 'mpsadbw', 'mulpd', 'mulps', 'mulsd',
  'mulss', 'orpd', 'orps', 'pabsb', 'pabsd', 'pabsw', 'packssdw', 'packsswb', 'packusdw', 'packuswb', 'paddb', 'paddd', 'paddq', 'paddsb', 'paddsw',
  'paddusb', 'paddusw', 'paddw', 'palignr', 'pand', 'pandn', 'pavgb', 'pavgw', 'pblendvb', 'pblendw', 'pclmulqdq', 'pcmpeqb', 'pcmpeqd', 'pcmpeqq',
  'pcmpeqw', 'pcmpestri', 'pcmpestrm', 'pcmpgtb', 'pcmpgtd', 'pcmpgtq', 'pcmpgtw', 'pcmpistri', 'pcmpistrm', 'pextrb', 'pextrd', 'pextrw', 'phaddd',
  'phaddsw', 'phaddw', 'phminposuw', 'phsubd', 'phsubsw', 'phsubw', 'pinsrb', 'pinsrd', 'pinsrw', 'pmaddubsw', 'pmaddwd', 'pmaxsb', 'pmaxsd',
  'pmaxsw', 'pmaxub', 'pmaxud', 'pmaxuw', 'pminsb', 'pminsd', 'pminsw', 'pminub', 'pminud', 'pminuw', 'pmovmskb', 'pmovsxbd', 'pmovsxbq', 'pmovsxbw',
  'pmovsxdq', 'pmovsxwd', 'pmovsxwq', 'pmovzxbd', 'pmovzxbq', 'pmovzxbw', 'pmovzxdq', 'pmovzxwd', 'pmovzxwq', 'pmuldq', 'pmulhrsw', 'pmulhuw',
  'pmulhw', 'pmulld', 'pmullw', 'pmuludq', 'por', 'psadbw', 'pshufb', 'pshufd', 'pshufhw', 'pshuflw', 'pshufw', 'psignb', 'psignd', 'psignw',
  'pslld', 'pslldq', 'psllq', 'psllw', 'psrad', 'psraw', 'psrld', 'psrldq', 'psrlq', 'psrlw', 'psubb', 'psubd', 'psubq', 'psubsb', 'psubsw',
  'psubusb', 'psubusw', 'psubw', 'ptest', 'punpckhbw', 'punpckhdq', 'punpckhqdq', 'punpckhwd', 'punpcklbw', 'punpckldq', 'punpcklqdq', 'punpcklwd',
  'pxor', 'rcpps', 'rcpss', 'roundpd', 'roundps', 'roundsd', 'roundss', 'rsqrtps', 'rsqrtss', 'sha1msg1', 'sha1msg2', 'sha1nexte', 'sha1rnds4',
  'sha256msg1', 'sha256msg2', 'sha256rnds2', 'shufpd', 'shufps', 'sqrtpd', 'sqrtps', 'sqrtsd', 'sqrtss', 'stmxcsr', 'subpd', 'subps', 'subsd',
  'subss', 'ucomisd', 'ucomiss', 'unpckhpd', 'unpckhps', 'unpcklpd', 'unpcklps', 'xorpd', 'xorps', 'xrstor', 'xsave', 'xsaveopt',
] as const;

export type SimdMnemonic = (typeof SIMD_OPS)[number];

/** Vector instructions are numbered behind `Op`, in the order of `SIMD_OPS`. */
export const firstSimdOp = OP_COUNT;

/** The number of a mnemonic, as in `Instruction.op`. */
export const simdOp = (mnemonic: SimdMnemonic): number => firstSimdOp + SIMD_OPS.indexOf(mnemonic);

/** One more than the largest number an instruction can have. */
export const ALL_OP_COUNT = firstSimdOp + SIMD_OPS.length;
