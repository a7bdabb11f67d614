import type { Linear } from '../code/block.js';

/** Exception vectors (SDM volume 3, table 6-1). */
export const Vector = { de: 0, db: 1, nmi: 2, bp: 3, of: 4, br: 5, ud: 6, nm: 7, df: 8, ts: 10, np: 11, ss: 12, gp: 13, pf: 14, mf: 16, ac: 17, xm: 19 } as const;

/** In `Fault.vector`: no exception of the guest's, but an access its host did not allow. */
export const NESTED = -1;
/** In `Fault.vector`: an access that must be repeated with care, see `Mmu.put`. */
export const RETRY = -2;

/** What stopped an access or an instruction. One record a processor; meaningful between the failure and its handling. */
export interface Fault {
  vector: number;
  /** -1 where the exception has none. */
  errorCode: number;
  /** The address was not canonical: #SS rather than #GP if the access went through the stack segment. */
  nonCanonical: boolean;
  /** #PF and nested: the linear address. */
  linear: Linear;
  /** Nested: guest physical address and `Access` bits. */
  gpa: number;
  access: number;
}

/** Thrown once `Fault` is filled, to leave a system instruction or an event delivery. */
export class GuestFault {}

/** The one instance: what happened is in the processor's `Fault`. */
export const GUEST_FAULT = new GuestFault();
