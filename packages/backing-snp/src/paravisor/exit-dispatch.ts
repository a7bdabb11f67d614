/** What each SVM exit code asks of the paravisor, in openvmm's order of events (facts of `snp/mod.rs` `run_vp_snp`). */
import { EventInject, SvmExit, SvmIoInfo, U64 } from '@paravisor/hcl-protocol';
import type { HclVp, Vmsa } from '@paravisor/hcl-protocol';
import { EmulationStatus, MsrStatus } from '@paravisor/virt-core';
import type { ExitHandlers } from '@paravisor/virt-core';
import { Cr4, Vector, XCR0_ALL, XCR0_X87, matchesNestedPageFault, viewExitMessage } from '../abi/index.js';
import type { ExitMessage } from '../abi/index.js';
import { clearInterruptShadow, injectException } from './pending-events.js';

/** Performance counters RDPMC reads as 0: AMD64 has at least these. */
const CORE_COUNTERS = 4;

export interface ExitDispatchOptions {
  readonly vtl: number;
  readonly vmsa: Vmsa;
  readonly hcl: HclVp;
  readonly handlers: ExitHandlers;
}

/** Handles the exits of one lower VTL of one VP. */
export class ExitDispatch {
  readonly #vtl: number;
  readonly #vmsa: Vmsa;
  readonly #hcl: HclVp;
  readonly #handlers: ExitHandlers;
  readonly #exitMessage: ExitMessage;
  readonly #value = new U64();
  readonly #leaf = new Int32Array(4);

  constructor({ vtl, vmsa, hcl, handlers }: ExitDispatchOptions) {
    this.#vtl = vtl;
    this.#vmsa = vmsa;
    this.#hcl = hcl;
    this.#handlers = handlers;
    this.#exitMessage = viewExitMessage(hcl.runPage);
  }

  /**
   * Handles the exit code in the VMSA. `messagePresent`: the host put an intercept message into the run page with this exit. True when the message belongs
   * to the exit; for a nested page fault it must.
   */
  dispatch(messagePresent: boolean): boolean {
    if (this.#vmsa.guestErrorCode.hi === 0 && this.#vmsa.guestErrorCode.lo === SvmExit.Npf) return this.#nestedPageFault(messagePresent);
    this.#dispatchByCode();
    return false;
  }

  #dispatchByCode(): void {
    const code = this.#vmsa.guestErrorCode;
    if (code.hi !== 0) {
      this.#fatal('VMRUN refused the VMSA', code.lo, code.hi);
      return;
    }
    switch (code.lo) {
      // What the host or the hardware needed, and the code that stands for no exit. A VINTR's interrupt was not taken and is offered again.
      case SvmExit.Intr:
      case SvmExit.Nmi:
      case SvmExit.Smi:
      case SvmExit.Vintr:
      case SvmExit.Pause:
      case SvmExit.IdleHlt:
      case SvmExit.BusLock:
      case SvmExit.Vmgexit:
        return;
      case SvmExit.Cpuid:
        return this.#cpuid();
      case SvmExit.Hlt:
        // RIP has already advanced.
        clearInterruptShadow(this.#vmsa);
        return this.#handlers.halt(this.#vtl);
      case SvmExit.Ioio:
        return this.#ioio();
      case SvmExit.Msr:
        return (this.#vmsa.exitInfo1.lo & 1) === 0 ? this.#readMsr() : this.#writeMsr();
      case SvmExit.Vmmcall:
        if (this.#handlers.hypercall(this.#vtl)) this.#advance();
        return;
      case SvmExit.Xsetbv:
        return this.#xsetbv();
      case SvmExit.Rdpmc:
        return this.#rdpmc();
      case SvmExit.Wbinvd:
      case SvmExit.Invd:
        // Caches are not modelled, and INVD is not let through as such.
        return this.#advance();
      case SvmExit.Shutdown:
        return this.#handlers.fatal(this.#vtl, 'triple fault');
      default:
        this.#fatal('unexpected exit', code.lo, 0);
    }
  }

  /** RIP = next RIP, as hardware left it; the shadow of the instruction before ends with this one. */
  #advance(): void {
    const vmsa = this.#vmsa;
    vmsa.rip.set(vmsa.nextRip);
    clearInterruptShadow(vmsa);
  }

  #generalProtection(): void {
    injectException(this.#vmsa, Vector.GeneralProtection, 0);
  }

  #cpuid(): void {
    const vmsa = this.#vmsa;
    const leaf = this.#leaf;
    this.#handlers.cpuid(this.#vtl, vmsa.rax.lo, vmsa.rcx.lo, leaf);
    vmsa.rax.setParts(leaf[0]!, 0);
    vmsa.rbx.setParts(leaf[1]!, 0);
    vmsa.rcx.setParts(leaf[2]!, 0);
    vmsa.rdx.setParts(leaf[3]!, 0);
    this.#advance();
  }

  #readMsr(): void {
    const vmsa = this.#vmsa;
    const value = this.#value;
    if (this.#handlers.readMsr(this.#vtl, vmsa.rcx.lo >>> 0, value) !== MsrStatus.Ok) return this.#generalProtection();
    vmsa.rax.setParts(value.lo, 0);
    vmsa.rdx.setParts(value.hi, 0);
    this.#advance();
  }

  #writeMsr(): void {
    const vmsa = this.#vmsa;
    const value = this.#value.setParts(vmsa.rax.lo, vmsa.rdx.lo);
    if (this.#handlers.writeMsr(this.#vtl, vmsa.rcx.lo >>> 0, value) !== MsrStatus.Ok) return this.#generalProtection();
    this.#advance();
  }

  #ioio(): void {
    const vmsa = this.#vmsa;
    const info = vmsa.exitInfo1.lo;
    if ((info & (SvmIoInfo.String | SvmIoInfo.Rep)) !== 0) {
      if (this.#handlers.emulateStringIo(this.#vtl) === EmulationStatus.Done) clearInterruptShadow(vmsa);
      return;
    }
    const port = info >>> SvmIoInfo.PortShift;
    const size = (info & SvmIoInfo.Size8) !== 0 ? 1 : (info & SvmIoInfo.Size16) !== 0 ? 2 : 4;
    const { lo, hi } = vmsa.rax;
    const mask = size === 4 ? -1 : (1 << (8 * size)) - 1;
    if ((info & SvmIoInfo.In) === 0) this.#handlers.writePort(port, size, (lo & mask) >>> 0);
    else {
      const read = this.#handlers.readPort(port, size) & mask;
      // A 32-bit result zeroes the upper half of RAX, a narrower one leaves the rest.
      if (size === 4) vmsa.rax.setParts(read, 0);
      else vmsa.rax.setParts((lo & ~mask) | read, hi);
    }
    this.#advance();
  }

  /**
   * Acted on only when the host says the same: openvmm does not yet judge by the hardware's word alone. Else the guest just tries again. An access of an
   * event's delivery belongs to no instruction: it ends the VP, as openvmm's emulator does.
   */
  #nestedPageFault(messagePresent: boolean): boolean {
    const vmsa = this.#vmsa;
    const gpa = vmsa.exitInfo2;
    if (!messagePresent || !matchesNestedPageFault(this.#exitMessage, gpa)) return false;
    const event = vmsa.eventInject.lo;
    if ((event & EventInject.Valid) !== 0) {
      this.#handlers.fatal(this.#vtl, `the delivery of vector ${event & EventInject.VectorMask} accessed a device at ${this.#value.set(gpa).toString()}`);
      return true;
    }
    const status = this.#handlers.emulateMmio(this.#vtl, (gpa.hi >>> 0) * 4294967296 + (gpa.lo >>> 0));
    if (status === EmulationStatus.Done) clearInterruptShadow(vmsa);
    return true;
  }

  /** XSETBV (APM volume 4): only XCR 0, at CPL 0, x87 state with or without SSE: more the processor does not have. */
  #xsetbv(): void {
    const vmsa = this.#vmsa;
    const allowed = vmsa.rcx.lo === 0 && vmsa.cpl === 0 && (vmsa.cr4.lo & Cr4.Osxsave) !== 0;
    const value = vmsa.rax.lo;
    if (!allowed || vmsa.rdx.lo !== 0 || (value & ~XCR0_ALL) !== 0 || (value & XCR0_X87) === 0) return this.#generalProtection();
    vmsa.xcr0.setParts(value, 0);
    this.#advance();
  }

  /** The core counters read 0; others, and user mode without CR4.PCE, are #GP. */
  #rdpmc(): void {
    const vmsa = this.#vmsa;
    if ((vmsa.cpl > 0 && (vmsa.cr4.lo & Cr4.Pce) === 0) || vmsa.rcx.lo >>> 0 >= CORE_COUNTERS) return this.#generalProtection();
    vmsa.rax.setParts(0, 0);
    vmsa.rdx.setParts(0, 0);
    this.#advance();
  }

  #fatal(what: string, lo: number, hi: number): void {
    const number = new U64().setParts(lo, hi);
    this.#handlers.fatal(this.#vtl, `${what}: SVM exit code ${number.toString()} at RIP ${new U64().set(this.#vmsa.rip).toString()}, VP ${this.#hcl.index}`);
  }
}
