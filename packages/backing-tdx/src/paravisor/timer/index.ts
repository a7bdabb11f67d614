/** TDX has a timer of its own for lower VTLs, the L2 TSC deadline; VmTime is what it falls back on. */
export * from './guest-timer.js';
export * from './tsc-deadline-service.js';
