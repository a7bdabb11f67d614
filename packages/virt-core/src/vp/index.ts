/** The VP loop and what a partition's VPs share. How a VP is entered and what an exit looks like is the backing's. */
export { Activity, WakeReason } from './lower-vtl.js';
export { createParavisor } from './paravisor.js';
export type { Paravisor, ParavisorOptions, ParavisorState } from './paravisor.js';
export { ParavisorVp } from './paravisor-vp.js';
export type { ParavisorVpOptions, ParavisorVpState } from './paravisor-vp.js';
export { tscFrequencyOf, TSC_FREQUENCY_TOLERANCE_HZ } from './tsc-frequency.js';
