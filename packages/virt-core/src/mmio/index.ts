/** Instructions finished by the paravisor because they touch devices. What an instruction means is x86-cpu's emulator's; here is where it finds registers and memory. */
export { MmioEmulator } from './mmio-emulator.js';
export type { MmioEmulatorOptions } from './mmio-emulator.js';
