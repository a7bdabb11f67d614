/** What lies below VTL2: clocks and events, guest RAM, the host hypervisor, the mshv_vtl driver, the exit ledger and the cost model. */
export * from './clock.js';
export * from './contract.js';
export * from './observer.js';
export * from './cost.js';
export { EventKind, MachineEvent } from './events.js';
export { HostVp, Vtl2Interrupt } from './host.js';
export { KernelTimer, KernelTimers } from './kernel-timers.js';
export { Ledger } from './ledger.js';
export type { LedgerSlice, LedgerSnapshot, ReasonCounts } from './ledger.js';
export { createMachine } from './machine.js';
export type { Machine, MachineOptions } from './machine.js';
export { OsTime } from './os-time.js';
export { APIC_FREQUENCY, Vtl2Processor } from './vtl2-processor.js';
