/** What SNP adds to the leaves every guest sees (openvmm `cvm_cpuid/snp.rs`): caches and topology as AMD has them, and that the guest is encrypted. */
import { maskOf, wholeLeaf } from '@paravisor/virt-core';
import type { LeafMasks, NativeCpuidParameters } from '@paravisor/virt-core';

const FAST_FXSR = 1 << 25;
/** CLZERO, retired-instruction counter, error pointers, INVLPGB, RDPRU, WBNOINVD, IBPB, IBRS, STIBP, STIBP always on, no LMSLE, SSBD, PSFD, BTC_NO. */
const LEAF_80000008_EBX = maskOf(0, 1, 2, 3, 4, 9, 12, 14, 15, 17, 20, 24, 28, 29);
/** Processors a package, and bits of an APIC ID that number them. */
const LEAF_80000008_ECX = 0xf0ff;
/** SME, SEV, page flush MSR, SEV-ES, SEV-SNP, VMPL, RMPQUERY, TSC_AUX. */
const LEAF_8000001F_EAX = maskOf(0, 1, 2, 3, 4, 5, 6, 9);
/** C-bit, bits of an address it takes, VMPLs. */
const LEAF_8000001F_EBX = 0xffff;
/** FP128, MOVU, FP256. */
const LEAF_8000001A_EAX = 7;
const SVM_REVISION = 0xff;

export const snpNativeCpuid: NativeCpuidParameters = {
  maxBasicLeaf: 0xd,
  maxExtendedLeaf: 0x80000026 | 0,
  additionalLeaves: new Map<number, LeafMasks>([
    [0x80000001, [0, 0, 0, FAST_FXSR]],
    [0x80000008, [0, LEAF_80000008_EBX, LEAF_80000008_ECX, -1]],
    [0x8000000a, [SVM_REVISION, 0, 0, 0]],
    [0x80000019, [-1, -1, 0, 0]],
    [0x8000001a, [LEAF_8000001A_EAX, 0, 0, 0]],
    [0x8000001d, (subleaf) => (subleaf <= 3 ? wholeLeaf : undefined)],
    [0x8000001e, [-1, -1, -1, 0]],
    [0x8000001f, [LEAF_8000001F_EAX, LEAF_8000001F_EBX, -1, -1]],
  ]),
};
