/** SNP VMPLs as a backing of the paravisor: its user-mode half, and the VMSAs and hardware below it. */
export { snpBacking, snpBackingFactory } from './backing.js';
export type { SnpBackingOptions } from './backing.js';
export { replaySnpScan } from './conformance.js';
