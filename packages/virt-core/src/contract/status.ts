/** Results of what an exit asks for. */

/** Result of an MSR access. */
export const MsrStatus = { Ok: 0, /** Inject #GP(0). */ GeneralProtection: 1 } as const;
export type MsrStatus = (typeof MsrStatus)[keyof typeof MsrStatus];

/** Result of emulating an instruction. */
export const EmulationStatus = {
  /** Registers, RIP included, are updated. The interrupt shadow is the backing's to clear. */
  Done: 0,
  /** An exception was injected through the backing; RIP is unchanged. */
  Faulted: 1,
  /** The VP cannot go on: a fault was recorded with `fatal`. */
  Fatal: 2,
} as const;
export type EmulationStatus = (typeof EmulationStatus)[keyof typeof EmulationStatus];

/** What a lower VTL of a VP does, as its own exits say. */
export const GuestActivity = {
  Running: 0,
  /** It executed HLT. */
  Halted: 1,
  /** It read the guest-idle MSR. */
  Idle: 2,
} as const;
export type GuestActivity = (typeof GuestActivity)[keyof typeof GuestActivity];
