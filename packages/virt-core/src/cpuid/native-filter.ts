/**
 * What a guest does not see of the processor as VTL2 sees it: features that exit and that nobody emulates, and what the paravisor adds. Leaves
 * without a row pass through.
 */

/** Bits of one leaf to take away and to add: EAX EBX ECX EDX. */
interface LeafFilter {
  readonly clear: readonly [number, number, number, number];
  readonly set: readonly [number, number, number, number];
}

const nothing = [0, 0, 0, 0] as const;
const everything = [-1, -1, -1, -1] as const;

const leaf1Ecx = {
  monitor: 1 << 3,
  vmx: 1 << 5,
  smx: 1 << 6,
  x2apic: 1 << 21,
  /** The emulated APIC timer has no TSC-deadline mode. */
  tscDeadline: 1 << 24,
  hypervisorPresent: 1 << 31,
} as const;

const leaf80000001Ecx = { svm: 1 << 2, skinit: 1 << 12 } as const;

/** Filters by leaf (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E). */
const filters: ReadonlyMap<number, LeafFilter> = new Map([
  [1, { clear: [0, 0, leaf1Ecx.monitor | leaf1Ecx.vmx | leaf1Ecx.smx | leaf1Ecx.tscDeadline, 0], set: [0, 0, leaf1Ecx.x2apic | leaf1Ecx.hypervisorPresent, 0] }],
  // MONITOR/MWAIT, performance monitoring, SGX, processor trace.
  [5, { clear: everything, set: nothing }],
  [0xa, { clear: everything, set: nothing }],
  [0x12, { clear: everything, set: nothing }],
  [0x14, { clear: everything, set: nothing }],
  [0x80000001, { clear: [0, 0, leaf80000001Ecx.svm | leaf80000001Ecx.skinit, 0], set: nothing }],
  // SVM features.
  [0x8000000a, { clear: everything, set: nothing }],
]);

/** Applies the filter of `leaf` to the native answer in `out`. */
export function filterNativeLeaf(leaf: number, out: Int32Array): void {
  const filter = filters.get(leaf >>> 0);
  if (filter === undefined) return;
  for (let register = 0; register < 4; register++) out[register] = (out[register]! & ~filter.clear[register]!) | filter.set[register]!;
}
