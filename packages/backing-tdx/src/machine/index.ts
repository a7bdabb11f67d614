/** The machine half: the TDX module with its L2 VMs, and the mshv_vtl driver's TDX path. What user mode decides lives in the paravisor half. */
export { timerCapabilities } from './capability.js';
export type { TimerCapability } from './capability.js';
export { tdxMachine } from './tdx-machine.js';
