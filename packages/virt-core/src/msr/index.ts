/** MSR accesses of a guest that exit: who answers, and the registers nobody else owns. SynIC and local APIC keep their own. */
export { ArchitecturalMsr, ArchitecturalMsrs, commonFixedMsrs } from './architectural.js';
export type { ArchitecturalMsrsState, FixedMsr, FixedMsrs } from './architectural.js';
export { GuestCrash } from './guest-crash.js';
export { GuestMsrs } from './guest-msrs.js';
export type { GuestMsrsOptions } from './guest-msrs.js';
export { HypervisorRegisters } from './hypervisor-registers.js';
export type { HypervisorRegistersOptions, HypervisorRegistersState } from './hypervisor-registers.js';
export { hypercallCodeOffsets, hypercallPage, referenceTscPage } from './overlay-pages.js';
export type { ProcessorVendor } from './overlay-pages.js';
export { VpAssistPage } from './vp-assist-page.js';
export type { VpAssistPageState } from './vp-assist-page.js';
