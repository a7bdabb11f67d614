/**
 * What a guest sees of the processor as VTL2 sees it: only what is known and supported. A leaf without a row is not there and reads zero, and so is a
 * feature outside its row (openvmm `cvm_cpuid`).
 */

/** Bits of a leaf that pass: EAX EBX ECX EDX. */
export type LeafMask = readonly [number, number, number, number];

/** A leaf's mask for every subleaf, or one for each. */
export type LeafMasks = LeafMask | ((subleaf: number) => LeafMask | undefined);

/** What a backing adds. */
export interface NativeCpuidParameters {
  /** EAX of leaf 0 and of leaf 0x80000000: their last leaves. */
  readonly maxBasicLeaf: number;
  readonly maxExtendedLeaf: number;
  /** Leaves that no other backing shows, and features beyond the common ones; unsigned leaf numbers. */
  readonly additionalLeaves: ReadonlyMap<number, LeafMasks>;
}

/** A mask with the named bits. */
export function maskOf(...bits: readonly number[]): number {
  return bits.reduce((mask, bit) => mask | (1 << bit), 0);
}

/** A leaf that passes whole. */
export const wholeLeaf: LeafMask = [-1, -1, -1, -1];

const NOTHING: LeafMask = [0, 0, 0, 0];

/** Leaf number of the extended range's start, whose EAX is its last leaf. */
const EXTENDED_MAX = 0x80000000;
/** Stepping, model, family, type, extended model and family. */
const SIGNATURE = 0x0fff3fff;
const X2APIC = 1 << 21;
const HYPERVISOR_PRESENT = 1 << 31;
const LEAF_FEATURES = 1;

/** SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, PCID, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, OSXSAVE, AVX, F16C, RDRAND. No TSC deadline: the emulated timer has no such mode. */
const LEAF_1_ECX = maskOf(0, 1, 9, 12, 13, 17, 19, 20, 22, 23, 25, 26, 27, 28, 29, 30);
/** FPU, VME, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE-36, CLFSH, MMX, FXSR, SSE, SSE2, HTT. */
const LEAF_1_EDX = maskOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26, 28);
/** FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, FCS and FDS deprecated, AVX-512 F, DQ, RDSEED, ADX, SMAP, AVX-512 IFMA, CLFLUSHOPT, CLWB, AVX-512 CD, SHA, AVX-512 BW, VL. No TSC_ADJUST. */
const LEAF_7_EBX = maskOf(0, 3, 5, 7, 8, 9, 10, 13, 16, 17, 18, 19, 20, 21, 23, 24, 28, 29, 30, 31);
/** AVX-512 VBMI, UMIP, WAITPKG, VBMI2, CET shadow stacks, GFNI, VAES, VPCLMULQDQ, AVX-512 VNNI, BITALG, VPOPCNTDQ, RDPID, CLDEMOTE, MOVDIRI, MOVDIR64B. */
const LEAF_7_ECX = maskOf(1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 14, 22, 25, 27, 28);
/** Fast short REP MOVSB, VP2INTERSECT, SERIALIZE, AVX-512 FP16. */
const LEAF_7_EDX = maskOf(4, 8, 14, 23);
/** AVX-VNNI, AVX-512 BF16, fast zero-length MOVSB, fast short STOSB, CMPSB, AVX-IFMA; EDX: AVX-VNNI-INT8, AVX-NE-CONVERT. */
const LEAF_7_1: LeafMask = [maskOf(4, 5, 10, 11, 12, 23), 0, 0, maskOf(4, 5)];
/** State components: x87, SSE, AVX, opmask and both of AVX-512's upper halves. */
const LEAF_D_EAX = maskOf(0, 1, 2, 5, 6, 7);
/** XSAVEOPT, XSAVEC, XSAVES; ECX: the CET components of XSS. */
const LEAF_D_1: LeafMask = [maskOf(0, 1, 3), -1, maskOf(11, 12), 0];
/** LAHF, CMP_LEGACY, AltMovCr8, ABM, SSE4A, misaligned SSE, 3DNow prefetch, IBS, XOP, FMA4, topology extensions. */
const LEAF_80000001_ECX = maskOf(0, 1, 4, 5, 6, 7, 8, 10, 11, 16, 22);
/** The common features of leaf 1, and SYSCALL, NX, AMD's MMX extensions, 1 GiB pages, RDTSCP, LM, 3DNow. */
const LEAF_80000001_EDX = maskOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 20, 22, 23, 24, 26, 27, 29, 30, 31);
const LAST_STATE_COMPONENT = 63;

const commonLeaves: ReadonlyMap<number, LeafMasks> = new Map<number, LeafMasks>([
  [LEAF_FEATURES, [SIGNATURE, -1, LEAF_1_ECX, LEAF_1_EDX]],
  [5, wholeLeaf],
  [7, (subleaf) => (subleaf === 0 ? [-1, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX] : subleaf === 1 ? LEAF_7_1 : undefined)],
  [0xd, (subleaf) => (subleaf === 0 ? [LEAF_D_EAX, -1, -1, 0] : subleaf === 1 ? LEAF_D_1 : subleaf <= LAST_STATE_COMPONENT ? wholeLeaf : undefined)],
  [0x80000001, [SIGNATURE, 0xf000ffff | 0, LEAF_80000001_ECX, LEAF_80000001_EDX]],
  ...[0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006, 0x80000007].map((leaf) => [leaf, wholeLeaf] as const),
  [0x80000008, [0xffff, 0, 0, 0]],
]);

function maskFor(masks: LeafMasks | undefined, subleaf: number): LeafMask {
  return (typeof masks === 'function' ? masks(subleaf) : masks) ?? NOTHING;
}

/** Takes from the native answer in `out` what the guest does not see, and adds what the paravisor has: x2APIC, and that there is a hypervisor. */
export function filterNativeLeaf({ maxBasicLeaf, maxExtendedLeaf, additionalLeaves }: NativeCpuidParameters, leaf: number, subleaf: number, out: Int32Array): void {
  if (leaf === 0 || leaf === EXTENDED_MAX) {
    out[0] = leaf === 0 ? maxBasicLeaf : maxExtendedLeaf;
    return;
  }
  const common = maskFor(commonLeaves.get(leaf), subleaf);
  const additional = maskFor(additionalLeaves.get(leaf), subleaf);
  for (let register = 0; register < 4; register++) out[register]! &= common[register]! | additional[register]!;
  if (leaf === LEAF_FEATURES) out[2]! |= X2APIC | HYPERVISOR_PRESENT;
}
