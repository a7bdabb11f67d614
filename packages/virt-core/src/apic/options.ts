/** What a local APIC is made with, and what it tells the VP loop. */
import type { TimerObserver } from '../contract/observer.js';
import type { VmTimeAccess } from '../time/index.js';
import type { LocalApicSet } from './ipi.js';

/** Where the task priority lives: in the guest processor, so behind the backing. */
export interface Cr8Access {
  readCr8(): number;
  writeCr8(value: number): void;
}

/** What a scan found. One record an APIC, reused: read it before the next scan. */
export interface ApicWork {
  /** Highest deliverable vector, −1 for none. The guest's CR8 is not considered: the backing does. */
  interrupt: number;
  nmi: boolean;
  /** Reset the processor's registers, this APIC included. */
  init: boolean;
  /** SIPI vector, −1 for none. */
  sipi: number;
}

export interface LocalApicOptions {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  /** The APICs of this VTL; this one adds itself. */
  readonly set: LocalApicSet;
  /** The VP's VmTime. Its timeout is set for the APIC timer at each scan. */
  readonly vmTime: VmTimeAccess;
  readonly x2apicCapable: boolean;
  /** Hears of the timer, source `Apic`. The APIC timer runs on VmTime, so times are VmTime: the unit of reference time, another origin. */
  readonly observer: TimerObserver;
}
