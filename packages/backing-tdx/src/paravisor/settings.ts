/** What the backing's options say to its paravisor half. */
export interface TdxSettings extends TimerRemedies {
  /** VTL0's local APIC is offloaded as long as it can be. */
  readonly offload: boolean;
  /** An event that went in during a run that was cancelled is not injected again. */
  readonly remedyRepeatedEvent: boolean;
  /** A self-IPI with an illegal vector is dropped, as the emulated APIC drops it. */
  readonly remedyIllegalSelfIpi: boolean;
}

/** What the TSC deadline service does better than the reference; each is a hazard of its own. */
export interface TimerRemedies {
  /** The deadline follows the VP into the L2 VM of the VTL it switches to. */
  readonly remedyVtlSwitch: boolean;
  /** A run that was cancelled before the driver took the deadline does not count as having armed it. */
  readonly remedyCancelledRun: boolean;
  /** An expiry is forgotten as what is armed: a timer that is not due yet is armed again. */
  readonly remedyEarlyExpiry: boolean;
}

/** The reference as it is. */
export const noRemedies: TimerRemedies = { remedyVtlSwitch: false, remedyCancelledRun: false, remedyEarlyExpiry: false };
