import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/status.js';

/** Architectural MSRs with a meaning here or in a backing (Intel SDM volume 4; AMD APM volume 2, appendix A). */
export const ArchitecturalMsr = {
  Tsc: 0x10,
  PlatformId: 0x17,
  FeatureControl: 0x3a,
  MicrocodeRevision: 0x8b,
  MtrrCap: 0xfe,
  McgCap: 0x179,
  McgStatus: 0x17a,
  MiscEnable: 0x1a0,
  Pat: 0x277,
  MtrrDefType: 0x2ff,
  SysCfg: 0xc0010010,
  VmCr: 0xc0010114,
} as const;

/** An MSR with a fixed value: what a write changes is nothing, but some writes are refused. */
export interface FixedMsr {
  /** What RDMSR gives, bits 31:0; the upper half is 0. */
  readonly value: number;
  /** Writes that are #GP: every one, none, or those with one of the bits set. The others do nothing. */
  readonly refuses: 'all' | 'none' | { readonly lo: number; readonly hi: number };
}

/** The fixed MSRs of a backing, by number. Every other architectural MSR reads 0 and ignores writes, IA32_TSC_ADJUST and the MTRRs' ranges among them (openvmm). */
export type FixedMsrs = ReadonlyMap<number, FixedMsr>;

/** What both confidential backings of openvmm answer alike: no MTRR ranges, but write combining; no machine-check banks; RIPV, EIPV and MCIP are all of MCG_STATUS. */
export const commonFixedMsrs = {
  mtrrCap: 0x400,
  mcgStatus: { value: 0, refuses: { lo: ~7, hi: -1 } },
  /** A microcode newer than any. */
  microcodeRevision: -1,
} as const;

/** IA32_PAT at reset (Intel SDM volume 3, 13.12.4). */
const PAT_RESET = 0x0007040600070406n;

/** Whether each byte names a memory type: 0, 1 and 4 to 7. */
function isPat(value: ReadonlyU64): boolean {
  for (let shift = 0; shift < 32; shift += 8) {
    if (!isMemoryType((value.lo >>> shift) & 0xff) || !isMemoryType((value.hi >>> shift) & 0xff)) return false;
  }
  return true;
}
const isMemoryType = (type: number): boolean => type < 8 && type !== 2 && type !== 3;

/** The architectural MSRs of one VTL of one VP, as far as they exit. */
export class ArchitecturalMsrs {
  readonly #tsc: { rdtsc(out: U64): void };
  readonly #fixed: FixedMsrs;
  readonly #pat = U64.of(PAT_RESET);

  constructor(tsc: { rdtsc(out: U64): void }, fixed: FixedMsrs) {
    this.#tsc = tsc;
    this.#fixed = fixed;
  }

  read(msr: number, out: U64): MsrStatus {
    if (msr === ArchitecturalMsr.Tsc) this.#tsc.rdtsc(out);
    else if (msr === ArchitecturalMsr.Pat) out.set(this.#pat);
    else out.setParts(this.#fixed.get(msr)?.value ?? 0, 0);
    return MsrStatus.Ok;
  }

  /** #GP for a PAT with a reserved memory type, and for what a fixed MSR refuses. Writes to the TSC are ignored (openvmm). */
  write(msr: number, value: ReadonlyU64): MsrStatus {
    if (msr === ArchitecturalMsr.Pat) {
      if (!isPat(value)) return MsrStatus.GeneralProtection;
      this.#pat.set(value);
      return MsrStatus.Ok;
    }
    const refuses = this.#fixed.get(msr)?.refuses ?? 'none';
    if (refuses === 'none') return MsrStatus.Ok;
    if (refuses === 'all') return MsrStatus.GeneralProtection;
    return (value.lo & refuses.lo) === 0 && (value.hi & refuses.hi) === 0 ? MsrStatus.Ok : MsrStatus.GeneralProtection;
  }

  save(): ArchitecturalMsrsState {
    return { pat: saveU64(this.#pat) };
  }

  restore(state: ArchitecturalMsrsState): void {
    restoreU64(this.#pat, state.pat);
  }
}

/** `ArchitecturalMsrs` as plain data. */
export type ArchitecturalMsrsState = { readonly pat: string };
