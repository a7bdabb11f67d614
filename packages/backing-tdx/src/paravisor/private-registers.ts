/** Registers each lower VTL has for itself, which are in the run page only while that VTL runs (openvmm `TdxPrivateRegs`). */
import { U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';

const RSP = 4;

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
  toRunPage({ context: { gprList, vpState } }: TdxRunPage): void {
    gprList.rip.set(this.rip);
    gprList.rflags.set(this.rflags);
    gprList.gpr[RSP]!.set(this.rsp);
    gprList.ssp.set(this.ssp);
    gprList.rvi = this.rvi;
    gprList.svi = this.svi;
    vpState.msrKernelGsBase.set(this.kernelGsBase);
    vpState.msrStar.set(this.star);
    vpState.msrLstar.set(this.lstar);
    vpState.msrSfmask.set(this.sfmask);
    vpState.msrXss.set(this.xss);
    vpState.msrTscAux.set(this.tscAux);
    vpState.flags.setParts(this.entryFlags, 0);
  }

  /** After a run, also one that was cancelled. */
  fromRunPage({ context: { gprList, vpState } }: TdxRunPage): void {
    this.rip.set(gprList.rip);
    this.rflags.set(gprList.rflags);
    this.rsp.set(gprList.gpr[RSP]!);
    this.ssp.set(gprList.ssp);
    this.rvi = gprList.rvi;
    this.svi = gprList.svi;
    this.kernelGsBase.set(vpState.msrKernelGsBase);
    this.star.set(vpState.msrStar);
    this.lstar.set(vpState.msrLstar);
    this.sfmask.set(vpState.msrSfmask);
    this.xss.set(vpState.msrXss);
    this.tscAux.set(vpState.msrTscAux);
    this.entryFlags = vpState.flags.lo;
  }
}
