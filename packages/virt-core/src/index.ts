/** The paravisor, backing-neutral: user mode in VTL2, which sees its machine through the ioctl line of hcl-protocol and nothing else. */
export * from './apic/index.js';
export * from './conformance/index.js';
export * from './contract/index.js';
export * from './cpuid/index.js';
export * from './hypercall/index.js';
export * from './memory/index.js';
export * from './mmio/index.js';
export * from './msr/index.js';
export * from './synic/index.js';
export * from './time/index.js';
export * from './timers/index.js';
export * from './vp/index.js';
export * from './vsm/index.js';
