/** SNP VMPLs: the paravisor's SNP backing, and the VMSA, hardware and driver path below it. */
export * from './backing.js';
export { replaySnpScan } from './conformance.js';
