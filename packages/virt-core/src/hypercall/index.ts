/** Hypercalls a lower VTL makes to its paravisor. VTL2's own calls to the host go through the ioctl line instead. */
export * from './control.js';
export * from './dispatch.js';
export * from './handler.js';
export * from './long-spin-wait.js';
export { sendSyntheticClusterIpi, sendSyntheticClusterIpiEx } from './cluster-ipi.js';
export type { IpiTargets } from './cluster-ipi.js';
export { flushCalls } from './flush.js';
export type { FlushTargets } from './flush.js';
export { postMessage, signalEvent } from './synic-calls.js';
export { isVtl, targetVtlOf } from './target-vtl.js';
