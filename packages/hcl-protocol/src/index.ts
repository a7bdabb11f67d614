/** The bytes and numbers both sides agree on. No behaviour. */
export * from './apic.js';
export * from './exit-reasons.js';
export * from './hcl.js';
export * from './ioctl.js';
export * from './layout.js';
export * from './run-page.js';
export * from './state.js';
export * from './tdx.js';
export * from './tlfs.js';
export * from './tmk.js';
export * from './u64.js';
export * from './vmsa.js';
export * from './vmx.js';
export * from './vsm.js';
