import { PHYSICAL_ADDRESS_BITS } from '../processor/mmu.js';
import { XCR0_SUPPORTED } from './control-registers.js';

/** Result order of `cpuidOf`. */
const EAX = 0;
const EBX = 1;
const ECX = 2;
const EDX = 3;

const VENDOR = {
  intel: { words: ['Genu', 'ineI', 'ntel'], signature: 0x000806f8 },
  amd: { words: ['Auth', 'enti', 'cAMD'], signature: 0x00a10f11 },
} as const;

/**
 * Leaf 1: EDX FPU, DE, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, PSE-36, CLFSH, MMX, FXSR, SSE, SSE2; ECX SSE3, PCLMULQDQ, SSSE3, CMPXCHG16B, PCID,
 * SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, RDRAND.
 */
const LEAF_1_EDX = bits(0, 2, 3, 4, 5, 6, 8, 11, 13, 15, 16, 17, 19, 23, 24, 25, 26);
const LEAF_1_ECX = bits(0, 1, 9, 13, 17, 19, 20, 22, 23, 25, 26, 30);
/** Leaf 7: EBX FSGSBASE, BMI1, SMEP, BMI2, INVPCID, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA; ECX UMIP, RDPID. */
const LEAF_7_EBX = bits(0, 3, 7, 8, 10, 18, 19, 20, 23, 24, 29);
const LEAF_7_ECX = bits(2, 22);
/** Leaf 0xD: x87 and SSE state, in the legacy region and its header; XSAVEOPT. */
const XSAVE_BYTES = 576;
const LEAF_D_1_EAX = bits(0);
/** Leaf 0x80000001: EDX SYSCALL, NX, 1 GiB pages, RDTSCP, LM; ECX LAHF in 64-bit mode, LZCNT. */
const LEAF_80000001_EDX = bits(11, 20, 26, 27, 29);
/** AMD repeats the features of leaf 1 there (APM volume 3, E.4.1). */
const LEAF_80000001_EDX_REPEATED = bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 23, 24);
const LEAF_80000001_ECX = bits(0, 5);
/** Leaf 0x80000007: EDX invariant TSC. */
const LEAF_80000007_EDX = bits(8);

const MAX_BASIC = 0xd;
const MAX_EXTENDED = 0x80000008;
/** Leaf 1 EBX: CLFLUSH line of 64 bytes in quadwords (SDM volume 2, CPUID); one logical processor. */
const LEAF_1_EBX = (8 << 8) | (1 << 16);
const LINEAR_ADDRESS_BITS = 48;

function bits(...numbers: number[]): number {
  return numbers.reduce((mask, number) => mask | (1 << number), 0);
}

function word(text: string): number {
  return text.charCodeAt(0) | (text.charCodeAt(1) << 8) | (text.charCodeAt(2) << 16) | (text.charCodeAt(3) << 24);
}

/**
 * What CPUID says of the features this processor has, and nothing of what a machine adds (APIC ids, topology, a
 * hypervisor). `out` receives EAX, EBX, ECX, EDX. Leaves it does not have are zero. SDM volume 2, CPUID; APM volume 3,
 * appendix E.
 */
export function cpuidOf(vendor: 'intel' | 'amd', leaf: number, subleaf: number, out: Int32Array): void {
  out.fill(0, 0, 4);
  const { words, signature } = VENDOR[vendor];
  switch (leaf >>> 0) {
    case 0:
    case 0x80000000:
      out[EAX] = leaf >>> 0 === 0 ? MAX_BASIC : MAX_EXTENDED;
      if (leaf >>> 0 !== 0 && vendor === 'intel') return;
      out[EBX] = word(words[0]);
      out[EDX] = word(words[1]);
      out[ECX] = word(words[2]);
      return;
    case 1:
      out[EAX] = signature;
      out[EBX] = LEAF_1_EBX;
      out[ECX] = LEAF_1_ECX;
      out[EDX] = LEAF_1_EDX;
      return;
    case 7:
      if (subleaf !== 0) return;
      out[EBX] = LEAF_7_EBX;
      out[ECX] = LEAF_7_ECX;
      return;
    case 0xd:
      if (subleaf === 0) {
        out[EAX] = XCR0_SUPPORTED;
        out[EBX] = XSAVE_BYTES;
        out[ECX] = XSAVE_BYTES;
      } else if (subleaf === 1) {
        out[EAX] = LEAF_D_1_EAX;
      }
      return;
    case 0x80000001:
      out[EAX] = vendor === 'amd' ? signature : 0;
      out[ECX] = LEAF_80000001_ECX;
      out[EDX] = vendor === 'amd' ? LEAF_80000001_EDX | (LEAF_1_EDX & LEAF_80000001_EDX_REPEATED) : LEAF_80000001_EDX;
      return;
    case 0x80000007:
      out[EDX] = LEAF_80000007_EDX;
      return;
    case 0x80000008:
      out[EAX] = PHYSICAL_ADDRESS_BITS | (LINEAR_ADDRESS_BITS << 8);
      return;
  }
}
