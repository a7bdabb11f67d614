import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/index.js';

/** Architectural MSRs with a value of their own; every other one reads 0 and ignores writes, MTRRs and machine-check banks among them. */
export const ArchitecturalMsr = { Tsc: 0x10, MicrocodeRevision: 0x8b, MtrrCap: 0xfe, MiscEnable: 0x1a0, Pat: 0x277 } as const;

/** IA32_MTRRCAP: no ranges, but write combining (openvmm, MSRs of both confidential backings). */
const MTRR_CAP = 0x400;
/** IA32_BIOS_SIGN_ID: all ones, in the low half (openvmm, likewise). */
const MICROCODE_REVISION = -1;

/** IA32_MISC_ENABLE (Intel SDM volume 4): fast strings on; branch trace storage and PEBS unavailable. */
const MISC_ENABLE = 1 | (1 << 11) | (1 << 12);

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
  readonly #pat = U64.of(PAT_RESET);

  constructor(tsc: { rdtsc(out: U64): void }) {
    this.#tsc = tsc;
  }

  read(msr: number, out: U64): MsrStatus {
    switch (msr) {
      case ArchitecturalMsr.Tsc:
        this.#tsc.rdtsc(out);
        break;
      case ArchitecturalMsr.MicrocodeRevision:
        out.setParts(MICROCODE_REVISION, 0);
        break;
      case ArchitecturalMsr.MtrrCap:
        out.setParts(MTRR_CAP, 0);
        break;
      case ArchitecturalMsr.MiscEnable:
        out.setParts(MISC_ENABLE, 0);
        break;
      case ArchitecturalMsr.Pat:
        out.set(this.#pat);
        break;
      default:
        out.setParts(0, 0);
    }
    return MsrStatus.Ok;
  }

  /** #GP for a PAT with a reserved memory type. */
  write(msr: number, value: ReadonlyU64): MsrStatus {
    if (msr !== ArchitecturalMsr.Pat) return MsrStatus.Ok;
    if (!isPat(value)) return MsrStatus.GeneralProtection;
    this.#pat.set(value);
    return MsrStatus.Ok;
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
