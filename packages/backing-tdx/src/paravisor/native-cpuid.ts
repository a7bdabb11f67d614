/** What TDX adds to the leaves every guest sees (openvmm `cvm_cpuid/tdx.rs`): AMX, caches, the crystal clock. */
import { maskOf, wholeLeaf } from '@paravisor/virt-core';
import type { LeafMasks, NativeCpuidParameters } from '@paravisor/virt-core';

/** AMX: BF16, TILE, INT8. */
const AMX = maskOf(22, 24, 25);
/** Its state components, and XFD. */
const TILE_STATE = maskOf(17, 18);
const XFD = 1 << 4;

/** The leaf passes for subleaves up to `last`. */
const upTo =
  (last: number): LeafMasks =>
  (subleaf) =>
    subleaf <= last ? wholeLeaf : undefined;

export const tdxNativeCpuid: NativeCpuidParameters = {
  maxBasicLeaf: 0x20,
  maxExtendedLeaf: 0x80000008 | 0,
  additionalLeaves: new Map<number, LeafMasks>([
    [2, wholeLeaf],
    [4, upTo(3)],
    [7, (subleaf) => (subleaf === 0 ? [0, 0, 0, AMX] : undefined)],
    [0xd, (subleaf) => (subleaf === 0 ? [TILE_STATE, 0, 0, 0] : subleaf === 1 ? [XFD, 0, 0, 0] : undefined)],
    [0x15, wholeLeaf],
    [0x1d, upTo(1)],
    [0x1e, upTo(0)],
  ]),
};
