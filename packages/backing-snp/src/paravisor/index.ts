/** The paravisor's half: the SNP backing as user mode in VTL2 has it, over the ioctl line and the VMSAs alone. */
export * from './shared.js';
export * from './timer/index.js';
export * from './vp.js';
