/** The main board: what a device reaches of the partition it is in. */
import type { SynicPorts } from '@paravisor/virt-core';
import type { RunOutcome } from '../guest-record.js';

/** Ticks are those of the virtual TSC, absolute. */
export interface Board {
  readonly tscHz: number;
  /** The clock of the VP that accesses a device, or runs now. */
  readonly now: number;
  readonly vps: number;
  /** Calls `happen` once, when every VP that can run has reached `tick`. What is returned takes that back. */
  schedule(tick: number, happen: (tick: number) => void): () => void;
  /** An interrupt message to the local APICs of VTL0, see `Paravisor.signalMsi`. */
  signalMsi(address: number, data: number): void;
  /** A pulse at LINT pin 0 or 1 of a VP's local APIC, see `Paravisor.pulseLint`. */
  pulseLint(vp: number, pin: 0 | 1): void;
  /** Calls `listener` when a local APIC of VTL0 ends a level-triggered interrupt. */
  onLevelEoi(listener: (vector: number) => void): void;
  /** Ends the partition. */
  end(outcome: RunOutcome): void;
  readonly synic: {
    /** Where the guest's messages and events go. */
    ports(): SynicPorts;
    /** Raises the interrupt of a SINT of a VP's VTL0. */
    signalSint(vp: number, sint: number): void;
  };
}
