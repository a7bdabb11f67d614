/** SNP has no timer of its own for lower VTLs: their deadlines are VmTime timeouts of VTL2. */
export * from './guest-timer.js';
export * from './rearm-scan.js';
export * from './stimer0-handoff.js';
export * from './timer-capability.js';
