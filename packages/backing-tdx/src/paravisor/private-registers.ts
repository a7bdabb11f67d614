/** Registers each lower VTL has for itself, which are in the run page only while that VTL runs (openvmm `TdxPrivateRegs`). */
import { U64, restoreU64, saveU64, tdxGuestStateLayout, tdxVpContextLayout, tdxVpStateLayout, wordsOf } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';

const { gprList, vpState } = tdxVpContextLayout.fields;
const { gpr, rip, rflags, ssp, rvi: interruptStatus } = tdxGuestStateLayout.fields;
const { msrKernelGsBase, msrStar, msrLstar, msrSfmask, msrXss, msrTscAux, flags } = tdxVpStateLayout.fields;
const RSP_NUMBER = 4;
const GPR_BYTES = 8;

/** Words of the context area. */
const RIP = (gprList.offset + rip.offset) >> 2;
const RFLAGS = (gprList.offset + rflags.offset) >> 2;
const RSP = (gprList.offset + gpr.offset + RSP_NUMBER * GPR_BYTES) >> 2;
const SSP = (gprList.offset + ssp.offset) >> 2;
const KERNEL_GS_BASE = (vpState.offset + msrKernelGsBase.offset) >> 2;
const STAR = (vpState.offset + msrStar.offset) >> 2;
const LSTAR = (vpState.offset + msrLstar.offset) >> 2;
const SFMASK = (vpState.offset + msrSfmask.offset) >> 2;
const XSS = (vpState.offset + msrXss.offset) >> 2;
const TSC_AUX = (vpState.offset + msrTscAux.offset) >> 2;
/** RVI in bits 7:0, SVI in 15:8. */
const INTERRUPT_STATUS = (gprList.offset + interruptStatus.offset) >> 2;
const FLAGS = (vpState.offset + flags.offset) >> 2;

function put(words: Int32Array, at: number, { lo, hi }: U64): void {
  words[at] = lo;
  words[at + 1] = hi;
}

/** What `PrivateRegisters.save` gives. */
export type PrivateRegistersState = { readonly cells: readonly string[]; readonly rvi: number; readonly svi: number; readonly entryFlags: number };

/** One lower VTL's. */
export class PrivateRegisters {
  readonly rip = new U64();
  readonly rflags = new U64();
  readonly rsp = new U64();
  readonly ssp = new U64();
  /** Requested and servicing virtual interrupt of an APIC that is offloaded; else 0. */
  rvi = 0;
  svi = 0;
  readonly kernelGsBase = new U64();
  readonly star = new U64();
  readonly lstar = new U64();
  readonly sfmask = new U64();
  readonly xss = new U64();
  readonly tscAux = new U64();
  /** Bits of `vpState.flags` for the next entry. */
  entryFlags = 0;
  readonly #cells = [this.rip, this.rflags, this.rsp, this.ssp, this.kernelGsBase, this.star, this.lstar, this.sfmask, this.xss, this.tscAux] as const;

  save(): PrivateRegistersState {
    const { rvi, svi, entryFlags } = this;
    return { cells: this.#cells.map(saveU64), rvi, svi, entryFlags };
  }

  restore({ cells, rvi, svi, entryFlags }: PrivateRegistersState): void {
    for (const [index, text] of cells.entries()) restoreU64(this.#cells[index]!, text);
    Object.assign(this, { rvi, svi, entryFlags });
  }

  /** Before a run. */
  toRunPage({ context }: TdxRunPage): void {
    const words = wordsOf(context);
    put(words, RIP, this.rip);
    put(words, RFLAGS, this.rflags);
    put(words, RSP, this.rsp);
    put(words, SSP, this.ssp);
    put(words, KERNEL_GS_BASE, this.kernelGsBase);
    put(words, STAR, this.star);
    put(words, LSTAR, this.lstar);
    put(words, SFMASK, this.sfmask);
    put(words, XSS, this.xss);
    put(words, TSC_AUX, this.tscAux);
    words[INTERRUPT_STATUS] = (words[INTERRUPT_STATUS]! & ~0xffff) | (this.svi << 8) | this.rvi;
    words[FLAGS] = this.entryFlags;
    words[FLAGS + 1] = 0;
  }

  /** After a run, also one that was cancelled. */
  fromRunPage({ context }: TdxRunPage): void {
    const words = wordsOf(context);
    this.rip.setParts(words[RIP]!, words[RIP + 1]!);
    this.rflags.setParts(words[RFLAGS]!, words[RFLAGS + 1]!);
    this.rsp.setParts(words[RSP]!, words[RSP + 1]!);
    this.ssp.setParts(words[SSP]!, words[SSP + 1]!);
    this.kernelGsBase.setParts(words[KERNEL_GS_BASE]!, words[KERNEL_GS_BASE + 1]!);
    this.star.setParts(words[STAR]!, words[STAR + 1]!);
    this.lstar.setParts(words[LSTAR]!, words[LSTAR + 1]!);
    this.sfmask.setParts(words[SFMASK]!, words[SFMASK + 1]!);
    this.xss.setParts(words[XSS]!, words[XSS + 1]!);
    this.tscAux.setParts(words[TSC_AUX]!, words[TSC_AUX + 1]!);
    const status = words[INTERRUPT_STATUS]!;
    this.rvi = status & 0xff;
    this.svi = (status >>> 8) & 0xff;
    this.entryFlags = words[FLAGS]!;
  }
}
