/** Registers each lower VTL has for itself, which are in the run page only while that VTL runs (openvmm `TdxPrivateRegs`). */
import { U64 } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';

const RSP = 4;

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
