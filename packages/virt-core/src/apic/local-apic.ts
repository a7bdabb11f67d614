import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { MsrStatus, TimerObserver } from '../contract/index.js';
import type { VmTimeAccess } from '../time/index.js';

/** Where the task priority lives: in the guest processor, so behind the backing. */
export interface Cr8Access {
  readCr8(): number;
  writeCr8(value: number): void;
}

/** What a scan found. One record per APIC, reused: read it before the next scan. */
export interface ApicWork {
  /** Highest deliverable vector, −1 for none. */
  interrupt: number;
  nmi: boolean;
  /** LINT or MSI in ExtINT mode. */
  extint: boolean;
  init: boolean;
  /** SIPI vector, −1 for none. */
  sipi: number;
}

/** Told when another VP has a request waiting in its APIC. */
export interface ApicWaker {
  wake(vp: number): void;
}

/** All local APICs of one VTL: the system bus. */
export declare class LocalApicSet {
  constructor(waker: ApicWaker);
}

export interface LocalApicOptions {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  /** The bus of this VTL; the APIC adds itself. */
  readonly set: LocalApicSet;
  readonly vmTime: VmTimeAccess;
  readonly x2apicCapable: boolean;
  readonly observer: TimerObserver;
}

export declare class LocalApic {
  constructor(options: LocalApicOptions);
  readonly vp: number;
  readonly vtl: number;
  /** Gives the APIC the guest's CR8; without it the APIC keeps a task priority of its own. */
  attachCr8(access: Cr8Access): void;
  /** Whether `msr` is handled here: 0x1b, 0x800 .. 0x83f, 0x40000023, 0x40000070 .. 72. */
  static owns(msr: number): boolean;
  readMsr(msr: number, out: U64): MsrStatus;
  writeMsr(msr: number, value: ReadonlyU64): MsrStatus;
  /** Whether the 4 KiB page of `gpa` is this APIC's xAPIC page (enabled, not in x2APIC mode). */
  claimsPage(gpa: number): boolean;
  /** `size` 1, 2, 4 or 8. Misaligned or disabled: all ones. */
  readMmio(gpa: number, size: number, out: U64): void;
  writeMmio(gpa: number, size: number, value: ReadonlyU64): void;
  /** SynIC interrupts of this VP and VTL. */
  requestSynicInterrupt(vector: number, autoEoi: boolean): void;
  /** Stages a request. True when the VP should look (it was not already waiting). */
  request(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): boolean;
  /** True while requests staged since the last IRR scan wait to be looked at: pass it as `scanIrr`. */
  readonly needsScan: boolean;
  /** Polls the timer (and sets `vmTime`'s timeout for it), takes over staged requests if `scanIrr`, and says what the VP is to take. */
  scan(vmTime: VmTimeAccess, scanIrr: boolean): ApicWork;
  /** The guest takes the vector the last scan offered: IRR to ISR (not for auto-EOI). */
  acknowledge(vector: number): void;
  /** False while software-disabled or while an auto-EOI interrupt is or was in use, which hardware cannot do. */
  readonly offloadAllowed: boolean;
  readonly x2apicEnabled: boolean;
  readonly apicId: number;
  reset(): void;
}
