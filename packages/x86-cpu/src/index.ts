/** A guest processor: decode, execute, page, fault. It knows intercepts, but no hypervisor. */
export * from './contract.js';
export { createMachineMemory } from './memory/machine-memory.js';
export type { MachineMemory, MachineMemoryOptions } from './memory/machine-memory.js';
export { stateLayout } from './memory/layout.js';
export { XCR0_SUPPORTED } from './system/control-registers.js';
export { createProcessor } from './processor/create.js';
export { createRegisterImage } from './processor/register-image.js';
export type { ImageBits, ImageField, RegisterImage } from './processor/register-image.js';
export { cpuidOf } from './system/cpuid.js';
