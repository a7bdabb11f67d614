/** CPUID as the guest gets it. Native answers come from the ioctl line; what is added or taken away is here. */
export { GuestCpuid } from './guest-cpuid.js';
export { hypervisorLeaf, isHypervisorLeaf, HYPERVISOR_LEAF_LAST } from './hypervisor-leaves.js';
export { filterNativeLeaf, maskOf, wholeLeaf } from './native-leaves.js';
export type { LeafMask, LeafMasks, NativeCpuidParameters } from './native-leaves.js';
export type { HypervisorCpuidParameters } from './hypervisor-leaves.js';
