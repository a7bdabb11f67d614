import type { CodeMode } from '../decode/instruction.js';

/**
 * What one emulated instruction needs of a processor. Values are unsigned 64-bit BigInts, cut to the size of the access.
 *
 * `emulate` calls in this order: registers are read, memory and ports are read, memory and ports are written, registers are written. A failed access
 * (undefined or false) ends the instruction before anything after it; the implementation keeps what the failure was.
 */
export interface EmulatorCpu {
  /** What the code segment makes of code: 64-, 32- or 16-bit. */
  readonly codeMode: CodeMode;
  /** RIP; on entry the instruction's own address. Written last. */
  rip: bigint;
  /** RFLAGS. */
  rflags: bigint;
  /** All 64 bits of general register 0..15 (RAX RCX RDX RBX RSP RBP RSI RDI R8..R15). */
  readGpr(register: number): bigint;
  /** Replaces all 64 bits of a general register. */
  writeGpr(register: number, value: bigint): void;
  /** Base of segment 0..5 = ES CS SS DS FS GS, as the mode uses it: in 64-bit mode 0 but for FS and GS. Limits have been checked before. */
  segmentBase(segment: number): bigint;
  /** Reads 1, 2, 4 or 8 bytes at a canonical linear address, which may cross a page; undefined if the guest may not. */
  readMemory(linear: bigint, size: number): bigint | undefined;
  /** Writes 1, 2, 4 or 8 bytes at a canonical linear address; false, with nothing written, if the guest may not. */
  writeMemory(linear: bigint, size: number, value: bigint): boolean;
  /** Would a write be allowed? Asked before the read of a read-modify-write, because reading a device can have effects. */
  canWriteMemory(linear: bigint, size: number): boolean;
  /** Reads 1, 2 or 4 bytes from a port; permission to do so has been checked before. */
  readPort(port: number, size: number): bigint | undefined;
  /** Writes 1, 2 or 4 bytes to a port. */
  writePort(port: number, size: number, value: bigint): boolean;
}

/** How an emulation ended. */
export const EmulateStatus = {
  /** The instruction is complete; RIP is behind it. */
  Done: 0,
  /** One iteration of a REP string instruction is complete and more follow; RIP still points at it. */
  Repeat: 1,
  /** A memory or port access failed, and the processor knows how. Registers, flags and RIP are as before. */
  AccessFailed: 2,
  /** The instruction raises {@link EmulateOutcome.vector}; state is as before. */
  Exception: 3,
  /** More instruction bytes are needed. */
  Truncated: 4,
  /** A valid instruction that is not emulated. */
  NotEmulated: 5,
} as const;

/** One value of {@link EmulateStatus}. */
export type EmulateStatus = (typeof EmulateStatus)[keyof typeof EmulateStatus];

/** The outcome of one emulation; constants, so that none is ever allocated. */
export interface EmulateOutcome {
  readonly status: EmulateStatus;
  /** Exception: its vector, else -1. */
  readonly vector: number;
  /** Exception: its error code, or -1 for a vector without one. */
  readonly errorCode: number;
}

function outcome(status: EmulateStatus, vector = -1, errorCode = -1): EmulateOutcome {
  return Object.freeze({ status, vector, errorCode });
}

/** Every outcome there is. */
export const Outcome = {
  done: outcome(EmulateStatus.Done),
  repeat: outcome(EmulateStatus.Repeat),
  accessFailed: outcome(EmulateStatus.AccessFailed),
  truncated: outcome(EmulateStatus.Truncated),
  notEmulated: outcome(EmulateStatus.NotEmulated),
  divideError: outcome(EmulateStatus.Exception, 0),
  invalidOpcode: outcome(EmulateStatus.Exception, 6),
  stackFault: outcome(EmulateStatus.Exception, 12, 0),
  generalProtection: outcome(EmulateStatus.Exception, 13, 0),
} as const;
