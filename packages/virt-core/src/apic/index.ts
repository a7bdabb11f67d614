/** The local APIC of one lower VTL of one VP, its timer, and how APICs reach each other. What wakes a VP for it is the VP loop's. */
export { Destination, LocalApicSet } from './ipi.js';
export type { ApicWaker, IpiTarget } from './ipi.js';
export { PushResult } from './offload.js';
export type { ApicOffloadTarget } from './offload.js';
export { VectorSet } from './vector-set.js';
export { LocalApic } from './local-apic.js';
export type { LocalApicState } from './registers.js';
export type { ApicWork, Cr8Access, LocalApicOptions } from './options.js';
export { APIC_TIMER_HZ } from './timer.js';
