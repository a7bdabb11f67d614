import type { InitialRegisters } from '@paravisor/virt-core';

/** Guest RAM as a loader sees it, before the first instruction runs. */
export interface LoaderTarget {
  /** Bytes of RAM from guest physical 0; zero to begin with. */
  readonly ramBytes: number;
  /** Copies `bytes` to `gpa`; the caller keeps within RAM. */
  write(gpa: number, bytes: Uint8Array): void;
}

/** Puts one guest into a fresh partition's memory, and says in what state its boot VP starts. */
export interface PartitionLoader {
  /** Called once a partition. Throws `ElfError` when the guest does not fit. */
  load(target: LoaderTarget): InitialRegisters;
}
