/** What user mode does about an exit of a lower VTL, by VMX basic exit reason. */
import { InterruptionInfo, IoQualification, TdcallLeaf, TdxStatus, TdxVpStateFlag, U64, VmxExit, VmxExitReason } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';
import { MsrStatus } from '@paravisor/virt-core';
import type { ExitHandlers, GuestRegisters } from '@paravisor/virt-core';
import { ControlRegisters, CrOutcome } from './control-registers.js';
import type { LowerVtl } from './lower-vtl.js';

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, Rbx: 3, R10: 10 } as const;
const Vector = { InvalidOpcode: 6, GeneralProtection: 13 } as const;
const MSR_EFER = 0xc0000080;
/** R10 of TDG.VP.VMCALL: TDVMCALL_STATUS invalid operand (GHCI). */
const TDVMCALL_INVALID_OPERAND_HIGH = 0x80000000 | 0;
/** XCR0: x87 must be on, AVX needs SSE, and nothing further exists. */
const XCR0_X87 = 1;
const XCR0_SSE = 2;
const XCR0_AVX = 4;

/** Exits of one lower VTL of one VP. */
export class ExitDispatch {
  readonly #page: TdxRunPage;
  readonly #vtl: LowerVtl;
  readonly #handlers: ExitHandlers;
  readonly #controlRegisters: ControlRegisters;
  readonly #value = new U64();
  readonly #cpuid = new Int32Array(4);

  constructor(page: TdxRunPage, vtl: LowerVtl, registers: GuestRegisters, handlers: ExitHandlers) {
    this.#page = page;
    this.#vtl = vtl;
    this.#handlers = handlers;
    this.#controlRegisters = new ControlRegisters(vtl, registers, handlers);
  }

  /** Handles the exit now in the run page; the lower VTL was entered. */
  dispatch(): void {
    const reason = this.#page.context.exitInfo.rax.lo;
    if ((reason & VmxExitReason.EntryFailed) !== 0) return this.#fatal(`the VM entry failed, VMX exit reason ${reason & VmxExitReason.BasicMask}`);
    switch (reason & VmxExitReason.BasicMask) {
      // These only have to be counted, which the driver does: the next round looks at what they announce.
      case VmxExit.ExternalInterrupt:
      case VmxExit.Smi:
      case VmxExit.InterruptWindow:
      case VmxExit.NmiWindow:
      case VmxExit.TprBelowThreshold:
      case VmxExit.TimerExpired:
        return;
      case VmxExit.Exception:
        return this.#exception();
      case VmxExit.TripleFault:
        return this.#fatal('triple fault');
      case VmxExit.Cpuid:
        return this.#cpuidExit();
      case VmxExit.Hlt:
        this.#advance();
        return this.#handlers.halt(this.#vtl.vtl);
      case VmxExit.Vmcall:
        return this.#vmcall();
      case VmxExit.CrAccess:
        return this.#crAccess();
      case VmxExit.Io:
        return this.#io();
      case VmxExit.MsrRead:
        return this.#msrRead();
      case VmxExit.MsrWrite:
        return this.#msrWrite();
      case VmxExit.Pause:
        return this.#advance();
      case VmxExit.EptViolation:
        return this.#eptViolation();
      case VmxExit.Wbinvd:
        this.#vtl.registers.entryFlags |= TdxVpStateFlag.Wbinvd;
        return this.#advance();
      case VmxExit.Xsetbv:
        return this.#xsetbv();
      case VmxExit.Tdcall:
        return this.#tdcall();
      case VmxExit.BadGuestState:
        return this.#fatal('the guest state does not allow a VM entry');
      case VmxExit.GdtrIdtr:
      case VmxExit.LdtrTr:
        return this.#fatal('a descriptor-table access exited, which this backing never asks for');
      default:
        return this.#fatal(`VMX exit reason ${reason & VmxExitReason.BasicMask} is not handled`);
    }
  }

  #fatal(reason: string): void {
    this.#handlers.fatal(this.#vtl.vtl, reason);
  }

  /** RIP goes over the instruction that exited: r11's high half is its length. */
  #advance(): void {
    const { rip } = this.#vtl.registers;
    rip.add(this.#value.setParts(this.#page.context.exitInfo.r11.hi, 0));
    this.#vtl.shadowIsOver = true;
  }

  #generalProtection(): void {
    this.#vtl.events.injectException(Vector.GeneralProtection, 0);
  }

  /** An exception the bitmap intercepts: the guest gets it after all. An NMI is VTL2's own, and its kernel has taken it. */
  #exception(): void {
    const { r9 } = this.#page.context.exitInfo;
    const vector = r9.lo & InterruptionInfo.VectorMask;
    if (vector !== 2) this.#vtl.events.injectException(vector, (r9.lo & InterruptionInfo.ErrorCodeValid) !== 0 ? r9.hi : -1);
  }

  #cpuidExit(): void {
    const { gpr } = this.#page.context.gprList;
    const out = this.#cpuid;
    this.#handlers.cpuid(this.#vtl.vtl, gpr[Gpr.Rax]!.lo, gpr[Gpr.Rcx]!.lo, out);
    gpr[Gpr.Rax]!.setParts(out[0]!, 0);
    gpr[Gpr.Rbx]!.setParts(out[1]!, 0);
    gpr[Gpr.Rcx]!.setParts(out[2]!, 0);
    gpr[Gpr.Rdx]!.setParts(out[3]!, 0);
    this.#advance();
  }

  /** A hypercall; from above ring 0 an invalid opcode (TLFS "Hypercall Interface"). */
  #vmcall(): void {
    if (this.#cpl() !== 0) return this.#vtl.events.injectException(Vector.InvalidOpcode, -1);
    this.#handlers.hypercall(this.#vtl.vtl);
    this.#advance();
  }

  #cpl(): number {
    return this.#page.context.exitInfo.r12.lo & 3;
  }

  #crAccess(): void {
    const qualification = this.#page.context.exitInfo.rcx.lo;
    switch (this.#controlRegisters.access(qualification)) {
      case CrOutcome.Done:
        return this.#advance();
      case CrOutcome.GeneralProtection:
        return this.#generalProtection();
      case CrOutcome.Unexpected:
        return this.#fatal(`a control-register access exited that this backing never asks for, qualification 0x${(qualification >>> 0).toString(16)}`);
    }
  }

  #io(): void {
    const { lo } = this.#page.context.exitInfo.rcx;
    if ((lo & (IoQualification.String | IoQualification.Rep)) !== 0) {
      this.#handlers.emulateStringIo(this.#vtl.vtl);
      return;
    }
    const port = lo >>> IoQualification.PortShift;
    const size = (lo & IoQualification.SizeMask) + 1;
    const mask = size === 4 ? -1 : (1 << (8 * size)) - 1;
    const rax = this.#page.context.gprList.gpr[Gpr.Rax]!;
    if ((lo & IoQualification.In) === 0) {
      this.#handlers.writePort(port, size, (rax.lo & mask) >>> 0);
    } else {
      const read = this.#handlers.readPort(port, size);
      // A 32-bit IN zero-extends into RAX, narrower ones leave the rest of it alone.
      rax.setParts((rax.lo & ~mask) | (read & mask), size === 4 ? 0 : rax.hi);
    }
    this.#advance();
  }

  #msrRead(): void {
    const { gpr } = this.#page.context.gprList;
    const value = this.#value;
    if (this.#handlers.readMsr(this.#vtl.vtl, gpr[Gpr.Rcx]!.lo >>> 0, value) !== MsrStatus.Ok) return this.#generalProtection();
    gpr[Gpr.Rax]!.setParts(value.lo, 0);
    gpr[Gpr.Rdx]!.setParts(value.hi, 0);
    this.#advance();
  }

  #msrWrite(): void {
    const { gpr } = this.#page.context.gprList;
    const msr = gpr[Gpr.Rcx]!.lo >>> 0;
    const value = this.#value.setParts(gpr[Gpr.Rax]!.lo, gpr[Gpr.Rdx]!.lo);
    const status = msr === MSR_EFER ? this.#controlRegisters.writeEfer(value) : this.#handlers.writeMsr(this.#vtl.vtl, msr, value);
    if (status !== MsrStatus.Ok) return this.#generalProtection();
    this.#advance();
  }

  #eptViolation(): void {
    this.#handlers.emulateMmio(this.#vtl.vtl, this.#value.set(this.#page.context.exitInfo.r8).toNumber());
  }

  /** XCR0 belongs to the processor, not to a VTL: nothing is kept here. Values a processor with x87, SSE and AVX would refuse are refused. */
  #xsetbv(): void {
    const { gpr } = this.#page.context.gprList;
    const low = gpr[Gpr.Rax]!.lo;
    const valid =
      this.#cpl() === 0 &&
      gpr[Gpr.Rcx]!.lo === 0 &&
      gpr[Gpr.Rdx]!.lo === 0 &&
      (low & XCR0_X87) !== 0 &&
      (low & ~(XCR0_X87 | XCR0_SSE | XCR0_AVX)) === 0 &&
      ((low & XCR0_AVX) === 0 || (low & XCR0_SSE) !== 0);
    if (!valid) return this.#generalProtection();
    this.#advance();
  }

  /** A lower VTL has no module to call: TDG.VP.VMCALL is answered with "invalid operand", every other leaf refused. */
  #tdcall(): void {
    const { gpr } = this.#page.context.gprList;
    if (gpr[Gpr.Rax]!.lo === TdcallLeaf.VpVmcall) {
      gpr[Gpr.Rax]!.setParts(0, TdxStatus.Success);
      gpr[Gpr.R10]!.setParts(0, TDVMCALL_INVALID_OPERAND_HIGH);
    } else {
      gpr[Gpr.Rax]!.setParts(0, TdxStatus.OperandInvalid);
    }
    this.#advance();
  }
}
