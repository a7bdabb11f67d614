/** Puts a backing's two halves, the machine and the paravisor together. */
export type { Board } from './chipset/board.js';
export { DeviceBus } from './chipset/chipset.js';
export type { BusDevice, ChipsetDevice, PortDevice, UnclaimedWrite } from './chipset/chipset.js';
export { pcChipset, testDeviceNames } from './chipset/pc.js';
export type { PcOptions, TestDeviceName } from './chipset/pc.js';
export { createPartition, restorePartition } from './create-partition.js';
export * from './elf/index.js';
export type { RunOutcome } from './guest-record.js';
export type { LoaderTarget, PartitionLoader } from './loader/loader.js';
export type { PartitionObserver } from './observer.js';
export type { GuestTimerChoice, PartitionOptions } from './options.js';
export { PartitionError } from './partition-error.js';
export type { PartitionErrorCode } from './partition-error.js';
export type { Partition, RunLimits } from './partition.js';
export type { PartitionState } from './state/partition-state.js';
export type { LatencySummary, TimerSummary } from './timer-statistics.js';
export * from './multiboot/index.js';
export * from './tmk/index.js';
