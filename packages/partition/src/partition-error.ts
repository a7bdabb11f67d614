/** A partition that cannot be made as asked: the user's mistake. `code` is stable, `message` is one line that says what to do. */
export class PartitionError extends Error {
  readonly code: PartitionErrorCode;
  /** The key of `PartitionOptions` that is wrong, or `state`; a message about a number begins with it. */
  readonly option: PartitionOptionName;

  constructor(code: PartitionErrorCode, option: PartitionOptionName, message: string) {
    super(message);
    this.name = 'PartitionError';
    this.code = code;
    this.option = option;
  }
}

/** What can be refused: keys of `PartitionOptions`, and the state to be restored. */
export type PartitionOptionName = 'guestTimer' | 'tscHz' | 'ips' | 'vps' | 'quantumTicks' | 'vtl2TickHz' | 'memoryMiB' | 'seed' | 'costs' | 'host' | 'state';

export type PartitionErrorCode =
  /** `guestTimer: 'hardware'` on a backing without one, or against an option that disables it. */
  | 'no-hardware-timer'
  /** A frequency, number of VPs, memory size, seed or cost out of its range. */
  | 'bad-number'
  /** A way for the host to behave that there is not. */
  | 'bad-host'
  /** To be restored: no state of a partition, or one of another shape than this version's. */
  | 'bad-state'
  /** A state of a newer version, or of a model of another openvmm. */
  | 'newer-state'
  /** A state that was changed since it was saved. */
  | 'damaged-state'
  /** A state of a partition with other options. */
  | 'other-options';
