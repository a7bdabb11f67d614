/** What lies below VTL2: clocks and events, guest RAM, the host hypervisor, the mshv_vtl driver, the exit ledger and the cost model. */
export * from './clock.js';
export * from './contract.js';
export * from './observer.js';
export * from './cost.js';
export { EventKind, MachineEvent } from './events.js';
export * from './host-options.js';
export { HostVp, Vtl2Interrupt } from './host.js';
export { KernelTimer, KernelTimers } from './kernel-timers.js';
export { Ledger } from './ledger.js';
export type { LedgerSlice, LedgerSnapshot, ReasonCounts } from './ledger.js';
export { createMachine, MAX_VPS, QUANTUM_INSTRUCTIONS } from './machine.js';
export type { Machine, MachineHost, MachineOptions, MachineState } from './machine.js';
export type { Executor } from '@paravisor/x86-cpu';
export { OsTime } from './os-time.js';
export { APIC_FREQUENCY, Vtl2Processor } from './vtl2-processor.js';
