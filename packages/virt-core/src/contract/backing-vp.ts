import type { Plain, RunStatus } from '@paravisor/hcl-protocol';
import type { GuestRegisters, InitialRegisters } from './registers.js';

/** What became of a VTL's interrupts in a round (openvmm `poll_apic` of the TDX backing). */
export const OffloadResult = {
  /** The APIC's state is the APIC's own: the loop offers what it has. */
  NotOffloaded: 0,
  /** Hardware keeps IRR and ISR, and nothing in them can be delivered now. */
  Idle: 1,
  /** Hardware keeps IRR and ISR, and delivers the highest request by itself: the loop does not offer, and treats it as pending. */
  Pending: 2,
} as const;
export type OffloadResult = (typeof OffloadResult)[keyof typeof OffloadResult];

/** The per-VP part. The VP loop calls these; each backing documents the driver state it touches. */
export interface BackingVp {
  readonly registers: (vtl: number) => GuestRegisters;
  /**
   * Gives a lower VTL its start state, between runs. Called for VTL0 before the first run, and again for INIT and start-up IPIs and when a hypercall
   * enables a VTL or starts a VP: events that were on their way into that VTL are dropped.
   */
  initialize(vtl: number, registers: InitialRegisters): void;
  /**
   * The VP goes on in another VTL (VTL call, return, or pre-emption). Called between runs, before the entry into `to`. Copies what the VTLs of a VP
   * share (TLFS 15.11.1: general registers except RSP, CR2, DR0 to DR3, x87 and SSE state, XCR0) where the backing keeps it once a VTL.
   */
  switchVtl(from: number, to: number): void;
  /** The guest translations of `vtl` that its processor holds are forgotten before its next entry. */
  flushTlb(vtl: number): void;

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
  /** The vector that the next entry of `vtl` injects as things stand, −1 for none. */
  pendingEventVector(vtl: number): number;
  /**
   * Called after the offers of a round: whether an interrupt of sufficient priority (above the task's and those in service), or an NMI, waits for
   * `vtl`. With `checkRflags` also RFLAGS.IF has to be set (openvmm `is_interrupt_pending`).
   */
  isInterruptPending(vtl: number, checkRflags: boolean): boolean;
  /** Called each round after the scan of a VTL's local APIC, and before its offers: hands the APIC's state to hardware where the backing can. */
  offloadApic(vtl: number): OffloadResult;

  /** Everything between the loop and the run ioctl: begin, halted flag, VTL selection, private registers. `halted`: idle instead of running. */
  beforeRun(vtl: number, halted: boolean): void;
  /** What the backing itself knows of this VP; the pages it shares with the driver are the machine's to save. Between rounds. */
  save(): Plain;
  /** On a VP just made. @throws {StateError} for a state that cannot be read. */
  restore(state: Plain): void;

  /** Everything after the run ioctl: private registers, end, then the exit itself through the handlers. `status` is Finished or Cancelled. */
  afterRun(vtl: number, status: RunStatus): void;
}
