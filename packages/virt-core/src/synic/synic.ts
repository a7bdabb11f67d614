import type { GuestMemoryLine, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { MsrStatus, TimerObserver } from '../contract/index.js';

/** Where a SynIC's interrupts go: the staged requests of the same VP's and VTL's local APIC (`LocalApic` is one). */
export interface SynicInterruptSink {
  /** `autoEoi`: the vector sets no ISR bit when it is taken. */
  requestSynicInterrupt(vector: number, autoEoi: boolean): void;
}

export interface SynicOptions {
  /** VP index and VTL, as the observer is told. */
  readonly vp: number;
  readonly vtl: number;
  readonly memory: GuestMemoryLine;
  readonly interrupts: SynicInterruptSink;
  readonly observer: TimerObserver;
}

export declare class Synic {
  constructor(options: SynicOptions);
  /** Whether `msr` is one of the SynIC's: 0x40000080 .. 0x4000009f or 0x400000b0 .. 0x400000b7. */
  static owns(msr: number): boolean;
  /** RDMSR of a SynIC register; others read 0. */
  readMsr(msr: number, out: U64): MsrStatus;
  /** WRMSR. Timers are only marked: the next `scan` evaluates them. SVERSION is read-only: GeneralProtection. */
  writeMsr(msr: number, value: ReadonlyU64): MsrStatus;
  /**
   * Looks at waiting SINTs and at the timers, at reference time `now`; delivers what is due, and leaves the next due time in `nextDue`.
   * True when a SINT waited for by `requestSintReadiness` became free (`readySints`): post its message and scan again.
   */
  scan(now: ReadonlyU64): boolean;
  /** After `scan`: whether a timer has a due time it can meet. */
  readonly hasNextDue: boolean;
  /** After `scan`, while `hasNextDue`: the unsigned minimum over the timers, reference time. May lie in the past. */
  readonly nextDue: ReadonlyU64;
  /** After `scan`: bit n is set when SINT n, waited for, has a free slot. */
  readonly readySints: number;
  /** Replaces the set of SINTs (bit n: SINT n) whose free slot the next scans are to report. */
  requestSintReadiness(sints: number): void;
  /** Puts a 256-byte message into the slot of `sint`. HvStatus: Success, InvalidSynicState, ObjectInUse. */
  postMessage(sint: number, message: Uint8Array): number;
  /** Sets event flag `flag` (0 .. 2047) of `sint`. True when it is newly set and its interrupt was requested. */
  signalEvent(sint: number, flag: number): boolean;
  reset(): void;
}
