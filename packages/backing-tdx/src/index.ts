/** TD partitioning as a backing of the paravisor: its user-mode half, and the machine below it. */
export { tdxBacking, tdxBackingFactory } from './backing.js';
export type { TdxBackingOptions } from './backing.js';
export { replayTdxDeadline } from './conformance.js';
export type { TimerCapability } from './machine/index.js';
