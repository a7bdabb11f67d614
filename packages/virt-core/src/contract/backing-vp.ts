import type { RunStatus } from '@paravisor/hcl-protocol';
import type { GuestRegisters, InitialRegisters } from './registers.js';

/** The per-VP part. The VP loop calls these; each backing documents the driver state it touches. */
export interface BackingVp {
  readonly registers: (vtl: number) => GuestRegisters;
  /** Gives a lower VTL its start state. Once per VTL, before the first run. */
  initialize(vtl: number, registers: InitialRegisters): void;

  /** Called each round before the SynIC scans: turns events cut off by the last exit into pending injections. */
  deliverPendingEvents(vtl: number): void;
  /**
   * The local APIC offers its highest deliverable vector; called every round while it stays pending. Acknowledge at the APIC when the guest will take it.
   * The loop has already ended a halt that the interrupt ends (`BackingShared.interruptEndsHaltWithoutIf`).
   */
  offerInterrupt(vtl: number, vector: number): void;
  /** An NMI is pending; called once for it. Keep it until the guest can take it. The loop has already ended a halt. */
  offerNmi(vtl: number): void;
  /** Queues an exception for the guest's next entry. `errorCode` below 0 means none. */
  injectException(vtl: number, vector: number, errorCode: number): void;

  /** Everything between the loop and the run ioctl: begin, halted flag, VTL selection, private registers. `halted`: idle instead of running. */
  beforeRun(vtl: number, halted: boolean): void;
  /** Everything after the run ioctl: private registers, end, then the exit itself through the handlers. `status` is Finished or Cancelled. */
  afterRun(vtl: number, status: RunStatus): void;
}
