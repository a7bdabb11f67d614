/**
 * One instruction at a time, over an abstract processor: for whoever must finish an instruction that a processor could not (device memory, string I/O), with
 * the decoder and the page walk that this takes. Whatever runs many instructions belongs to the interpreter.
 */
export { emulate, emulateDecoded } from './emulate.js';
export { EmulateStatus } from './emulator-cpu.js';
export type { EmulateOutcome, EmulatorCpu } from './emulator-cpu.js';
export { undefinedFlags } from './undefined-flags.js';
export * from '../decode/index.js';
export * from '../paging/index.js';
