import { describe, expect, it } from 'vitest';
import { code, DATA, Guest, HANDLERS, Reg } from '../../test/guest.js';
import { cpuidOf, stateLayout } from '../index.js';

const Eax = 0;
const Ebx = 1;
const Ecx = 2;
const Edx = 3;
const EXTENDED = 0x80000001;
const INVALID_OPCODE = 6;
/** PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE. */
const CR4 = 0x20n | (3n << 9n) | (1n << 16n) | (1n << 18n);

/** Feature, where CPUID has it, and an instruction that is #UD without it; RSI is the address of aligned memory, RCX 0, RDX 0, RAX 1. */
const instructions: readonly (readonly [string, number, number, number, number, string])[] = [
  ['x87', 1, 0, Edx, 0, 'd9 e8' /* fld1 */],
  ['RDTSC', 1, 0, Edx, 4, '0f 31' /* rdtsc */],
  ['CMPXCHG8B', 1, 0, Edx, 8, '0f c7 0e' /* cmpxchg8b [rsi] */],
  ['CMOV', 1, 0, Edx, 15, '0f 44 c1' /* cmove eax, ecx */],
  ['CLFLUSH', 1, 0, Edx, 19, '0f ae 3e' /* clflush [rsi] */],
  ['MMX', 1, 0, Edx, 23, '0f 6e c0' /* movd mm0, eax */],
  ['FXSAVE', 1, 0, Edx, 24, '0f ae 06' /* fxsave [rsi] */],
  ['SSE', 1, 0, Edx, 25, '0f 58 c1' /* addps xmm0, xmm1 */],
  ['SSE2', 1, 0, Edx, 26, '66 0f 58 c1' /* addpd xmm0, xmm1 */],
  ['SSE3', 1, 0, Ecx, 0, 'f2 0f 7c c1' /* haddps xmm0, xmm1 */],
  ['PCLMULQDQ', 1, 0, Ecx, 1, '66 0f 3a 44 c1 00' /* pclmulqdq xmm0, xmm1, 0 */],
  ['MONITOR', 1, 0, Ecx, 3, '0f 01 c8' /* monitor */],
  ['SSSE3', 1, 0, Ecx, 9, '66 0f 38 00 c1' /* pshufb xmm0, xmm1 */],
  ['FMA', 1, 0, Ecx, 12, 'c4 e2 71 98 c2' /* vfmadd132ps xmm0, xmm1, xmm2 */],
  ['CMPXCHG16B', 1, 0, Ecx, 13, '48 0f c7 0e' /* cmpxchg16b [rsi] */],
  ['SSE4.1', 1, 0, Ecx, 19, '66 0f 38 17 c1' /* ptest xmm0, xmm1 */],
  ['SSE4.2', 1, 0, Ecx, 20, 'f2 0f 38 f1 c1' /* crc32 eax, ecx */],
  ['MOVBE', 1, 0, Ecx, 22, '0f 38 f0 06' /* movbe eax, [rsi] */],
  ['POPCNT', 1, 0, Ecx, 23, 'f3 0f b8 c1' /* popcnt eax, ecx */],
  ['AES', 1, 0, Ecx, 25, '66 0f 38 dc c1' /* aesenc xmm0, xmm1 */],
  ['XSAVE', 1, 0, Ecx, 26, '0f ae 26' /* xsave [rsi] */],
  ['AVX', 1, 0, Ecx, 28, 'c5 f0 58 c2' /* vaddps xmm0, xmm1, xmm2 */],
  ['F16C', 1, 0, Ecx, 29, 'c4 e2 79 13 c1' /* vcvtph2ps xmm0, xmm1 */],
  ['RDRAND', 1, 0, Ecx, 30, '0f c7 f0' /* rdrand eax */],
  ['FSGSBASE', 7, 0, Ebx, 0, 'f3 0f ae c0' /* rdfsbase eax */],
  ['BMI1', 7, 0, Ebx, 3, 'c4 e2 70 f2 c1' /* andn eax, ecx, ecx */],
  ['AVX2', 7, 0, Ebx, 5, 'c5 f5 fe c2' /* vpaddd ymm0, ymm1, ymm2 */],
  ['BMI2', 7, 0, Ebx, 8, 'c4 e2 7b f5 c1' /* pdep eax, eax, ecx */],
  ['INVPCID', 7, 0, Ebx, 10, '66 0f 38 82 16' /* invpcid rdx, [rsi] */],
  ['RTM', 7, 0, Ebx, 11, '0f 01 d6' /* xtest */],
  ['AVX-512F', 7, 0, Ebx, 16, '62 f1 74 48 58 c2' /* vaddps zmm0, zmm1, zmm2 */],
  ['RDSEED', 7, 0, Ebx, 18, '0f c7 f8' /* rdseed eax */],
  ['ADX', 7, 0, Ebx, 19, '66 0f 38 f6 c1' /* adcx eax, ecx */],
  ['SMAP', 7, 0, Ebx, 20, '0f 01 ca' /* clac */],
  ['CLFLUSHOPT', 7, 0, Ebx, 23, '66 0f ae 3e' /* clflushopt [rsi] */],
  ['CLWB', 7, 0, Ebx, 24, '66 0f ae 36' /* clwb [rsi] */],
  ['SHA', 7, 0, Ebx, 29, '0f 38 c8 c1' /* sha1nexte xmm0, xmm1 */],
  ['WAITPKG', 7, 0, Ecx, 5, '66 0f ae f0' /* tpause eax */],
  ['GFNI', 7, 0, Ecx, 8, '66 0f 38 cf c1' /* gf2p8mulb xmm0, xmm1 */],
  ['RDPID', 7, 0, Ecx, 22, 'f3 0f c7 f8' /* rdpid rax */],
  ['MOVDIRI', 7, 0, Ecx, 27, '0f 38 f9 06' /* movdiri [rsi], eax */],
  ['MOVDIR64B', 7, 0, Ecx, 28, '66 0f 38 f8 36' /* movdir64b rsi, [rsi] */],
  ['SERIALIZE', 7, 0, Edx, 14, '0f 01 e8' /* serialize */],
  ['XSAVEOPT', 0xd, 1, Eax, 0, '0f ae 36' /* xsaveopt [rsi] */],
  ['XSAVEC', 0xd, 1, Eax, 1, '0f c7 26' /* xsavec [rsi] */],
  ['XGETBV with ECX 1', 0xd, 1, Eax, 2, 'b9 01 00 00 00 0f 01 d0' /* mov ecx, 1; xgetbv */],
  ['XSAVES', 0xd, 1, Eax, 3, '0f c7 2e' /* xsaves [rsi] */],
  ['LAHF', EXTENDED, 0, Ecx, 0, '9f' /* lahf */],
  ['SSE4A', EXTENDED, 0, Ecx, 6, 'f2 0f 79 c1' /* insertq xmm0, xmm1 */],
  ['SYSCALL', EXTENDED, 0, Edx, 11, '0f 05' /* syscall */],
  ['3DNow', EXTENDED, 0, Edx, 31, '0f 0f c1 9e' /* pfadd mm0, mm1 */],
  ['RDTSCP', EXTENDED, 0, Edx, 27, '0f 01 f9' /* rdtscp */],
];

/** XGETBV with ECX 1 is #GP, not #UD, without the feature. */
const GENERAL_PROTECTION = 13;

function claims(vendor: 'intel' | 'amd', leaf: number, subleaf: number, register: number, bit: number): boolean {
  const out = new Int32Array(4);
  cpuidOf(vendor, leaf, subleaf, out);
  return ((out[register]! >>> bit) & 1) === 1;
}

/** Which vector the code ends in; −1 when it reaches the HLT behind it. */
function vectorOf(vendor: 'intel' | 'amd', bytes: string): number {
  const guest = new Guest({ vendor }).load(code(`${bytes} f4`));
  guest.set(stateLayout.cr4, CR4);
  guest.setReg(Reg.rsi, BigInt(DATA));
  guest.setReg(Reg.rax, 1n);
  guest.setReg(Reg.rcx, 0n);
  guest.setReg(Reg.rdx, 0n);
  guest.processor.stateChanged();
  guest.finish();
  const handler = guest.rip - HANDLERS;
  return handler >= 0 && handler < 256 * 16 ? handler >> 4 : -1;
}

describe.each(['intel', 'amd'] as const)('%s: CPUID tells what is executed', (vendor) => {
  it.each(instructions)('%s', (name, leaf, subleaf, register, bit, bytes) => {
    const vector = vectorOf(vendor, bytes);
    const missing = name === 'XGETBV with ECX 1' ? GENERAL_PROTECTION : INVALID_OPCODE;
    expect([INVALID_OPCODE, GENERAL_PROTECTION].includes(vector) ? vector : -1).toBe(claims(vendor, leaf, subleaf, register, bit) ? -1 : missing);
  });

  it('LZCNT and TZCNT count, and are not BSR and BSF', () => {
    const guest = new Guest({ vendor }).load(code('b9 02 00 00 00 f3 0f bd c1 31 d2 f3 0f bc d2 f4' /* mov ecx, 2; lzcnt eax, ecx; xor edx, edx; tzcnt edx, edx; hlt */));
    guest.finish();
    expect([guest.reg(Reg.rax), guest.reg(Reg.rdx), claims(vendor, EXTENDED, 0, Ecx, 5), claims(vendor, 7, 0, Ebx, 3)]).toEqual([30n, 32n, true, true]);
  });

  it.each([
    ['VME', 0, 1, 0, Edx, 1],
    ['PVI', 1, 1, 0, Edx, 1],
    ['DE', 3, 1, 0, Edx, 2],
    ['PSE', 4, 1, 0, Edx, 3],
    ['PGE', 7, 1, 0, Edx, 13],
    ['UMIP', 11, 7, 0, Ecx, 2],
    ['LA57', 12, 7, 0, Ecx, 16],
    ['VMXE', 13, 1, 0, Ecx, 5],
    ['SMXE', 14, 1, 0, Ecx, 6],
    ['FSGSBASE', 16, 7, 0, Ebx, 0],
    ['PCIDE', 17, 1, 0, Ecx, 17],
    ['OSXSAVE', 18, 1, 0, Ecx, 26],
    ['SMEP', 20, 7, 0, Ebx, 7],
    ['SMAP', 21, 7, 0, Ebx, 20],
    ['PKE', 22, 7, 0, Ecx, 3],
    ['CET', 23, 7, 0, Ecx, 7],
    ['PKS', 24, 7, 0, Ecx, 31],
  ] as const)('CR4.%s can be set where the feature is', (_name, bit, leaf, subleaf, register, featureBit) => {
    const guest = new Guest({ vendor }).load(code('0f 22 e0 f4' /* mov cr4, rax; hlt */));
    guest.setReg(Reg.rax, CR4 | (1n << BigInt(bit)));
    guest.finish();
    expect(guest.rip < HANDLERS || guest.rip >= HANDLERS + 4096).toBe(claims(vendor, leaf, subleaf, register, featureBit));
  });
});
