/** Test microkernels: how one is loaded and started, and the device by which it speaks to its host. */
export { TmkCommandDevice } from './command-device.js';
export type { CommandMemory, TmkCommandSink } from './command-device.js';
export { tmkLoader } from './tmk-loader.js';
