import { SIMD_OPS, firstSimdOp } from './simd-op.js';
import type { SimdMnemonic } from './simd-op.js';
import type { OpcodeForm } from './opcode-map-64.js';

/**
 * MMX, SSE to SSE4.2, AES, PCLMULQDQ and SHA in the notation of the opcode maps (SDM volume 2, appendix A; APM volume 4): opcode behind 0F, prefixes and ModRM,
 * mnemonic, operands. V: XMM of ModRM.reg; W: XMM of ModRM.rm or memory, of 16 bytes (o), 8 (q), 4 (d) or 2 (w); P and Q: the same for MMX, of 8 or 4 (d).
 */
const ROWS = `
10 NP movups V Wo | 10 66 movupd V Wo | 10 F3 movss V Wd | 10 F2 movsd V Wq
11 NP movups Wo V | 11 66 movupd Wo V | 11 F3 movss Wd V | 11 F2 movsd Wq V
12 NP,reg movhlps V Wo | 12 NP,mem movlps V Wq | 12 66,mem movlpd V Wq | 12 F3 movsldup V Wo | 12 F2 movddup V Wq
13 NP,mem movlps Wq V | 13 66,mem movlpd Wq V
14 NP unpcklps V Wo | 14 66 unpcklpd V Wo | 15 NP unpckhps V Wo | 15 66 unpckhpd V Wo
16 NP,reg movlhps V Wo | 16 NP,mem movhps V Wq | 16 66,mem movhpd V Wq | 16 F3 movshdup V Wo
17 NP,mem movhps Wq V | 17 66,mem movhpd Wq V
28 NP movaps V Wo | 28 66 movapd V Wo | 29 NP movaps Wo V | 29 66 movapd Wo V
2a NP cvtpi2ps V Qq | 2a 66 cvtpi2pd V Qq | 2a F3 cvtsi2ss V Ey | 2a F2 cvtsi2sd V Ey
2b NP,mem movntps Wo V | 2b 66,mem movntpd Wo V
2c NP cvttps2pi P Wq | 2c 66 cvttpd2pi P Wo | 2c F3 cvttss2si Gy Wd | 2c F2 cvttsd2si Gy Wq
2d NP cvtps2pi P Wq | 2d 66 cvtpd2pi P Wo | 2d F3 cvtss2si Gy Wd | 2d F2 cvtsd2si Gy Wq
2e NP ucomiss V Wd | 2e 66 ucomisd V Wq | 2f NP comiss V Wd | 2f 66 comisd V Wq
50 NP,reg movmskps Gd Wo | 50 66,reg movmskpd Gd Wo
51 NP sqrtps V Wo | 51 66 sqrtpd V Wo | 51 F3 sqrtss V Wd | 51 F2 sqrtsd V Wq
52 NP rsqrtps V Wo | 52 F3 rsqrtss V Wd | 53 NP rcpps V Wo | 53 F3 rcpss V Wd
54 NP andps V Wo | 54 66 andpd V Wo | 55 NP andnps V Wo | 55 66 andnpd V Wo
56 NP orps V Wo | 56 66 orpd V Wo | 57 NP xorps V Wo | 57 66 xorpd V Wo
58 NP addps V Wo | 58 66 addpd V Wo | 58 F3 addss V Wd | 58 F2 addsd V Wq
59 NP mulps V Wo | 59 66 mulpd V Wo | 59 F3 mulss V Wd | 59 F2 mulsd V Wq
5a NP cvtps2pd V Wq | 5a 66 cvtpd2ps V Wo | 5a F3 cvtss2sd V Wd | 5a F2 cvtsd2ss V Wq
5b NP cvtdq2ps V Wo | 5b 66 cvtps2dq V Wo | 5b F3 cvttps2dq V Wo
5c NP subps V Wo | 5c 66 subpd V Wo | 5c F3 subss V Wd | 5c F2 subsd V Wq
5d NP minps V Wo | 5d 66 minpd V Wo | 5d F3 minss V Wd | 5d F2 minsd V Wq
5e NP divps V Wo | 5e 66 divpd V Wo | 5e F3 divss V Wd | 5e F2 divsd V Wq
5f NP maxps V Wo | 5f 66 maxpd V Wo | 5f F3 maxss V Wd | 5f F2 maxsd V Wq
60 NP punpcklbw P Qd | 60 66 punpcklbw V Wo | 61 NP punpcklwd P Qd | 61 66 punpcklwd V Wo | 62 NP punpckldq P Qd | 62 66 punpckldq V Wo
63 * packsswb | 64 * pcmpgtb | 65 * pcmpgtw | 66 * pcmpgtd | 67 * packuswb | 68 * punpckhbw | 69 * punpckhwd | 6a * punpckhdq | 6b * packssdw
6c 66 punpcklqdq V Wo | 6d 66 punpckhqdq V Wo
6e NP movd P Ey | 6e 66 movd V Ey | 6f NP movq P Qq | 6f 66 movdqa V Wo | 6f F3 movdqu V Wo
70 NP pshufw P Qq Ib | 70 66 pshufd V Wo Ib | 70 F3 pshufhw V Wo Ib | 70 F2 pshuflw V Wo Ib
71 NP,/2,reg psrlw Qq Ib | 71 66,/2,reg psrlw Wo Ib | 71 NP,/4,reg psraw Qq Ib | 71 66,/4,reg psraw Wo Ib | 71 NP,/6,reg psllw Qq Ib | 71 66,/6,reg psllw Wo Ib
72 NP,/2,reg psrld Qq Ib | 72 66,/2,reg psrld Wo Ib | 72 NP,/4,reg psrad Qq Ib | 72 66,/4,reg psrad Wo Ib | 72 NP,/6,reg pslld Qq Ib | 72 66,/6,reg pslld Wo Ib
73 NP,/2,reg psrlq Qq Ib | 73 66,/2,reg psrlq Wo Ib | 73 66,/3,reg psrldq Wo Ib | 73 NP,/6,reg psllq Qq Ib | 73 66,/6,reg psllq Wo Ib | 73 66,/7,reg pslldq Wo Ib
74 * pcmpeqb | 75 * pcmpeqw | 76 * pcmpeqd | 77 NP emms
7c 66 haddpd V Wo | 7c F2 haddps V Wo | 7d 66 hsubpd V Wo | 7d F2 hsubps V Wo
7e NP movd Ey P | 7e 66 movd Ey V | 7e F3 movq V Wq | 7f NP movq Qq P | 7f 66 movdqa Wo V | 7f F3 movdqu Wo V
ae NP,/0,mem fxsave M | ae NP,/1,mem fxrstor M | ae NP,/2,mem ldmxcsr Md | ae NP,/3,mem stmxcsr Md
ae NP,/4,mem xsave M | ae NP,/5,mem xrstor M | ae NP,/6,mem xsaveopt M
c2 NP cmpps V Wo Ib | c2 66 cmppd V Wo Ib | c2 F3 cmpss V Wd Ib | c2 F2 cmpsd V Wq Ib
c4 NP pinsrw P Rw Ib | c4 66 pinsrw V Rw Ib | c5 NP,reg pextrw Gd Qq Ib | c5 66,reg pextrw Gd Wo Ib
c6 NP shufps V Wo Ib | c6 66 shufpd V Wo Ib
d0 66 addsubpd V Wo | d0 F2 addsubps V Wo | d1 * psrlw | d2 * psrld | d3 * psrlq | d4 * paddq | d5 * pmullw
d6 66 movq Wq V | d6 F3,reg movq2dq V Qq | d6 F2,reg movdq2q P Wo
d7 NP,reg pmovmskb Gd Qq | d7 66,reg pmovmskb Gd Wo
d8 * psubusb | d9 * psubusw | da * pminub | db * pand | dc * paddusb | dd * paddusw | de * pmaxub | df * pandn
e0 * pavgb | e1 * psraw | e2 * psrad | e3 * pavgw | e4 * pmulhuw | e5 * pmulhw
e6 66 cvttpd2dq V Wo | e6 F3 cvtdq2pd V Wq | e6 F2 cvtpd2dq V Wo | e7 NP,mem movntq Qq P | e7 66,mem movntdq Wo V
e8 * psubsb | e9 * psubsw | ea * pminsw | eb * por | ec * paddsb | ed * paddsw | ee * pmaxsw | ef * pxor
f0 F2,mem lddqu V Wo | f1 * psllw | f2 * pslld | f3 * psllq | f4 * pmuludq | f5 * pmaddwd | f6 * psadbw
f7 NP,reg maskmovq P Qq | f7 66,reg maskmovdqu V Wo
f8 * psubb | f9 * psubw | fa * psubd | fb * psubq | fc * paddb | fd * paddw | fe * paddd
3800 * pshufb | 3801 * phaddw | 3802 * phaddd | 3803 * phaddsw | 3804 * pmaddubsw | 3805 * phsubw | 3806 * phsubd | 3807 * phsubsw
3808 * psignb | 3809 * psignw | 380a * psignd | 380b * pmulhrsw | 381c * pabsb | 381d * pabsw | 381e * pabsd
3810 66 pblendvb V Wo | 3814 66 blendvps V Wo | 3815 66 blendvpd V Wo | 3817 66 ptest V Wo
3820 66 pmovsxbw V Wq | 3821 66 pmovsxbd V Wd | 3822 66 pmovsxbq V Ww | 3823 66 pmovsxwd V Wq | 3824 66 pmovsxwq V Wd | 3825 66 pmovsxdq V Wq
3828 66 pmuldq V Wo | 3829 66 pcmpeqq V Wo | 382a 66,mem movntdqa V Wo | 382b 66 packusdw V Wo
3830 66 pmovzxbw V Wq | 3831 66 pmovzxbd V Wd | 3832 66 pmovzxbq V Ww | 3833 66 pmovzxwd V Wq | 3834 66 pmovzxwq V Wd | 3835 66 pmovzxdq V Wq
3837 66 pcmpgtq V Wo | 3838 66 pminsb V Wo | 3839 66 pminsd V Wo | 383a 66 pminuw V Wo | 383b 66 pminud V Wo
383c 66 pmaxsb V Wo | 383d 66 pmaxsd V Wo | 383e 66 pmaxuw V Wo | 383f 66 pmaxud V Wo | 3840 66 pmulld V Wo | 3841 66 phminposuw V Wo
38c8 NP sha1nexte V Wo | 38c9 NP sha1msg1 V Wo | 38ca NP sha1msg2 V Wo | 38cb NP sha256rnds2 V Wo | 38cc NP sha256msg1 V Wo | 38cd NP sha256msg2 V Wo
38db 66 aesimc V Wo | 38dc 66 aesenc V Wo | 38dd 66 aesenclast V Wo | 38de 66 aesdec V Wo | 38df 66 aesdeclast V Wo
3a08 66 roundps V Wo Ib | 3a09 66 roundpd V Wo Ib | 3a0a 66 roundss V Wd Ib | 3a0b 66 roundsd V Wq Ib
3a0c 66 blendps V Wo Ib | 3a0d 66 blendpd V Wo Ib | 3a0e 66 pblendw V Wo Ib | 3a0f NP palignr P Qq Ib | 3a0f 66 palignr V Wo Ib
3a14 66 pextrb Rb V Ib | 3a15 66 pextrw Rw V Ib | 3a16 66 pextrd Ey V Ib | 3a17 66 extractps Ed V Ib
3a20 66 pinsrb V Rb Ib | 3a21 66 insertps V Wd Ib | 3a22 66 pinsrd V Ey Ib
3a40 66 dpps V Wo Ib | 3a41 66 dppd V Wo Ib | 3a42 66 mpsadbw V Wo Ib | 3a44 66 pclmulqdq V Wo Ib
3a60 66 pcmpestrm V Wo Ib | 3a61 66 pcmpestri V Wo Ib | 3a62 66 pcmpistrm V Wo Ib | 3a63 66 pcmpistri V Wo Ib
3acc NP sha1rnds4 V Wo Ib | 3adf 66 aeskeygenassist V Wo Ib
`;

/** `*` stands for the usual two forms: MMX without a prefix, XMM with 66. */
const USUAL = [
  ['NP', 'P Qq'],
  ['66', 'V Wo'],
] as const;

function parse(row: string): OpcodeForm[] {
  const [opcode, match, mnemonic, ...operands] = row.trim().split(' ') as [string, string, SimdMnemonic, ...string[]];
  const escape = opcode.length === 4 ? 0x0f0000 : 0x0f00;
  const form = (prefixes: string, operandText: string): OpcodeForm => ({
    opcode: escape | Number.parseInt(opcode, 16),
    match: prefixes.replaceAll(',', ' '),
    op: firstSimdOp + SIMD_OPS.indexOf(mnemonic),
    operands: operandText,
    flags: 0,
  });
  return match === '*' ? USUAL.map(([prefix, text]) => form(prefix, text)) : [form(match, operands.join(' '))];
}

/** Rows of the vector instructions, the same in all modes. */
export const OPCODE_MAP_SIMD: readonly OpcodeForm[] = ROWS.trim().split('\n').flatMap((line) => line.split(' | ')).flatMap(parse);
