/** Moves to CR0 and CR4 that exit, and writes to EFER (SDM volume 3, 2.5 and 5.1.2). */
import { CrQualification, U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus, Segment } from '@paravisor/virt-core';
import type { GuestRegisters } from '@paravisor/virt-core';
import { Cr0, Cr4, Efer, EntryControl } from '../abi/index.js';
import { CR0_FIXED, CR4_FIXED } from './initial-state.js';
import type { LowerVtl } from './lower-vtl.js';

/** What became of an access. */
export const CrOutcome = { Done: 0, /** Inject #GP(0). */ GeneralProtection: 1, /** An access that cannot exit as the controls are set. */ Unexpected: 2 } as const;
export type CrOutcome = (typeof CrOutcome)[keyof typeof CrOutcome];

/** What the guest's CPUID offers: TSD to OSXMMEXCPT, UMIP, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP. */
const CR4_VALID = 0xffc | (1 << 16) | (1 << 17) | (1 << 18) | (1 << 20) | (1 << 21);
/** CR0: PE to TS, NE, WP, AM, NW, CD, PG. Writes of the rest are ignored; ET reads one. */
const CR0_WRITABLE = 0xf | Cr0.Ne | (1 << 16) | (1 << 18) | Cr0.Nw | Cr0.Cd | Cr0.Pg;
const CR0_ET = 1 << 4;
/** LMSW writes the low four bits. */
const LMSW_BITS = 0xf;
/** L of CS's access rights: 64-bit code. */
const CS_L = 1 << 13;
const CR4_PAE = Cr4.Pae;
const EFER_VALID = Efer.Sce | Efer.Lme | Efer.Lma | Efer.Nxe;

export class ControlRegisters {
  readonly #vtl: LowerVtl;
  readonly #registers: GuestRegisters;
  readonly #value = new U64();

  constructor(vtl: LowerVtl, registers: GuestRegisters) {
    this.#vtl = vtl;
    this.#registers = registers;
  }

  /** The access of a CR-access exit. RIP is the caller's. */
  access(qualification: number): CrOutcome {
    const register = qualification & CrQualification.CrMask;
    const gpr = (qualification >> CrQualification.RegisterShift) & 0xf;
    const type = (qualification >> CrQualification.TypeShift) & 3;
    if (type === CrQualification.TypeLmsw) return this.#lmsw(qualification >>> CrQualification.SourceShift);
    if (type !== CrQualification.TypeMov) return CrOutcome.Unexpected;
    this.#registers.readGpr(gpr, this.#value);
    switch (register) {
      case 0:
        return this.#writeCr0(this.#value);
      case 4:
        return this.#writeCr4(this.#value);
      default:
        return CrOutcome.Unexpected;
    }
  }

  /** PE can be set by it, and not be cleared (SDM volume 2, LMSW). */
  #lmsw(source: number): CrOutcome {
    this.#registers.readCr(0, this.#value);
    const { lo } = this.#value;
    return this.#writeCr0(this.#value.setParts((lo & ~LMSW_BITS) | (source & LMSW_BITS) | (lo & Cr0.Pe), 0));
  }

  #writeCr0({ lo: written, hi }: ReadonlyU64): CrOutcome {
    const { vmcs } = this.#vtl;
    const lo = (written & CR0_WRITABLE) | CR0_ET;
    const pagesOn = (lo & Cr0.Pg) !== 0;
    if (hi !== 0 || (pagesOn && (lo & Cr0.Pe) === 0) || ((lo & Cr0.Nw) !== 0 && (lo & Cr0.Cd) === 0)) return CrOutcome.GeneralProtection;
    const pagesChange = pagesOn !== ((vmcs.cr0.read().lo & Cr0.Pg) !== 0);
    // 64-bit code cannot switch paging off (SDM volume 2, MOV CR).
    if (pagesChange && !pagesOn && (vmcs.segments[Segment.Cs]!.attributes.read().lo & CS_L) !== 0) return CrOutcome.GeneralProtection;
    if (pagesChange && (vmcs.efer.read().lo & Efer.Lme) !== 0) {
      if (pagesOn && (vmcs.cr4.read().lo & CR4_PAE) === 0) return CrOutcome.GeneralProtection;
      this.#setLongModeActive(pagesOn);
    }
    vmcs.cr0.writeParts(lo | CR0_FIXED, 0);
    vmcs.cr0Shadow.writeParts(lo, 0);
    return CrOutcome.Done;
  }

  #setLongModeActive(active: boolean): void {
    const { efer, entryControls } = this.#vtl.vmcs;
    efer.writeParts(active ? efer.read().lo | Efer.Lma : efer.read().lo & ~Efer.Lma, 0);
    const controls = entryControls.read().lo;
    entryControls.writeParts(active ? controls | EntryControl.Ia32eModeGuest : controls & ~EntryControl.Ia32eModeGuest, 0);
  }

  #writeCr4({ lo, hi }: ReadonlyU64): CrOutcome {
    const { vmcs } = this.#vtl;
    const leavesPae = (lo & CR4_PAE) === 0 && (vmcs.efer.read().lo & Efer.Lma) !== 0;
    if (hi !== 0 || (lo & ~CR4_VALID) !== 0 || leavesPae) return CrOutcome.GeneralProtection;
    vmcs.cr4.writeParts(lo | CR4_FIXED, 0);
    vmcs.cr4Shadow.writeParts(lo, 0);
    return CrOutcome.Done;
  }

  /** WRMSR to EFER: LMA is the processor's, LME cannot change while paging is on (SDM volume 3, 2.2.1). */
  writeEfer({ lo, hi }: ReadonlyU64): MsrStatus {
    const { vmcs } = this.#vtl;
    const before = vmcs.efer.read().lo;
    if (hi !== 0 || (lo & ~EFER_VALID) !== 0) return MsrStatus.GeneralProtection;
    if (((lo ^ before) & Efer.Lme) !== 0 && (vmcs.cr0.read().lo & Cr0.Pg) !== 0) return MsrStatus.GeneralProtection;
    vmcs.efer.writeParts((lo & ~Efer.Lma) | (before & Efer.Lma), 0);
    return MsrStatus.Ok;
  }
}
