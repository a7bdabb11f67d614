/** What user mode does about an exit of a lower VTL, by VMX basic exit reason. */
import { HvRegister, HvStatus, HvMsr, InterruptionInfo, IoQualification, TdcallLeaf, TdxStatus, TdxVpStateFlag, U64, VmxExit, VmxExitReason } from '@paravisor/hcl-protocol';
import type { HclVp, TdxRunPage } from '@paravisor/hcl-protocol';
import { GuestActivity, MsrStatus } from '@paravisor/virt-core';
import type { ExitHandlers, GuestRegisters } from '@paravisor/virt-core';
import { ControlRegisters, CrOutcome } from './control-registers.js';
import type { LowerVtl } from './lower-vtl.js';

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, Rbx: 3, R10: 10 } as const;
const GENERAL_PROTECTION = 13;
const MSR_EFER = 0xc0000080;
/** R10 of TDG.VP.VMCALL: TDVMCALL_STATUS invalid operand (GHCI). */
const TDVMCALL_INVALID_OPERAND_HIGH = 0x80000000 | 0;
const CR4_OSXSAVE = 1 << 18;
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** Completion codes of TDG.VP.ENTER with which a lower VTL has run. */
const isExitStatus = (status: number): boolean =>
  status === TdxStatus.Success || status === TdxStatus.L2ExitHostRoutedAsync || status === TdxStatus.L2ExitPendingInterrupt;

/** Exits of one lower VTL of one VP. */
export class ExitDispatch {
  readonly #page: TdxRunPage;
  readonly #vtl: LowerVtl;
  readonly #registers: GuestRegisters;
  readonly #handlers: ExitHandlers;
  readonly #hcl: Pick<HclVp, 'setVpRegister'>;
  readonly #dropsIllegalSelfIpi: boolean;
  readonly #controlRegisters: ControlRegisters;
  readonly #value = new U64();
  readonly #cpuid = new Int32Array(4);

  constructor(page: TdxRunPage, vtl: LowerVtl, registers: GuestRegisters, handlers: ExitHandlers, hcl: Pick<HclVp, 'setVpRegister'>, dropsIllegalSelfIpi: boolean) {
    this.#page = page;
    this.#vtl = vtl;
    this.#registers = registers;
    this.#handlers = handlers;
    this.#hcl = hcl;
    this.#dropsIllegalSelfIpi = dropsIllegalSelfIpi;
    this.#controlRegisters = new ControlRegisters(vtl, registers);
  }

  /** Handles the exit now in the run page; the lower VTL was entered. */
  dispatch(): void {
    const { lo: reason, hi: status } = this.#page.context.exitInfo.rax;
    if ((reason & VmxExitReason.EntryFailed) !== 0) return this.#fatal(`the VM entry failed, VMX exit reason ${reason & VmxExitReason.BasicMask}`);
    // The host has completed the guest's TDG.VP.VMCALL and resumes through VTL2: there is nothing left to do.
    if (status === TdxStatus.L2ExitHostRoutedTdvmcall) return;
    if (!isExitStatus(status)) return this.#fatal(`TDG.VP.ENTER returned status ${hex(status)}, which is none of an exit`);
    switch (reason & VmxExitReason.BasicMask) {
      // These only have to be counted, which the driver does: the next round looks at what they announce. PAUSE is left to be executed again, and an
      // exception is one that a debugger of VTL2 asked for, or an NMI of VTL2 itself.
      case VmxExit.Exception:
      case VmxExit.ExternalInterrupt:
      case VmxExit.Smi:
      case VmxExit.InterruptWindow:
      case VmxExit.NmiWindow:
      case VmxExit.TprBelowThreshold:
      case VmxExit.TimerExpired:
      case VmxExit.Pause:
        return;
      case VmxExit.TripleFault:
        return this.#fatal('triple fault');
      case VmxExit.Cpuid:
        return this.#cpuidExit();
      case VmxExit.Hlt:
        return this.#hlt();
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
      case VmxExit.VirtualizedEoi:
        return this.#virtualizedEoi();
      case VmxExit.ApicWrite:
        return this.#apicWrite();
      case VmxExit.EptViolation:
        return this.#eptViolation();
      case VmxExit.Wbinvd:
        return this.#wbinvd();
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

  /** A self-IPI with an illegal vector, the only write that hardware leaves to software here: openvmm knows no exit 56. RIP is behind it already. */
  #apicWrite(): void {
    if (!this.#dropsIllegalSelfIpi) this.#fatal(`VMX exit reason ${VmxExit.ApicWrite} is not handled`);
  }

  #fatal(reason: string): void {
    this.#handlers.fatal(this.#vtl.vtl, reason);
  }

  /** RIP goes over the instruction that exited: r11's high half is its length. */
  #advance(): void {
    const { rip } = this.#vtl.registers;
    rip.add(this.#value.setParts(this.#page.context.exitInfo.r11.hi, 0));
  }

  #generalProtection(): void {
    this.#vtl.events.injectException(GENERAL_PROTECTION, 0);
  }

  #hlt(): void {
    this.#vtl.events.clearInterruptShadow();
    this.#advance();
    this.#vtl.activity = GuestActivity.Halted;
    this.#handlers.halt(this.#vtl.vtl);
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

  /** A hypercall; from above ring 0 #GP (openvmm), where TLFS has #UD. */
  #vmcall(): void {
    if (this.#cpl() !== 0) return this.#generalProtection();
    if (this.#handlers.hypercall(this.#vtl.vtl)) this.#advance();
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
        return this.#fatal(`a control-register access exited that this backing never asks for, qualification ${hex(qualification)}`);
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
    const msr = gpr[Gpr.Rcx]!.lo >>> 0;
    if (this.#handlers.readMsr(this.#vtl.vtl, msr, value) !== MsrStatus.Ok) return this.#generalProtection();
    if (msr === HvMsr.GuestIdle) {
      this.#vtl.events.clearInterruptShadow();
      this.#vtl.activity = GuestActivity.Idle;
    }
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

  /** Hardware has done the rest. Where no I/O APIC listens the VP ends, as openvmm ends it in every case: it does not know this exit. */
  #virtualizedEoi(): void {
    const vector = this.#page.context.exitInfo.rcx.lo & 0xff;
    if (!this.#handlers.levelEoi(this.#vtl.vtl, vector)) this.#fatal(`VMX exit reason ${VmxExit.VirtualizedEoi} is not handled: vector ${vector} was level-triggered, and no I/O APIC listens for its end`);
  }

  /** The kernel writes the caches back before the next entry: WBNOINVD, told by the qualification, without emptying them. */
  #wbinvd(): void {
    this.#vtl.registers.entryFlags |= this.#page.context.exitInfo.rcx.lo === 0 ? TdxVpStateFlag.Wbinvd : TdxVpStateFlag.Wbnoinvd;
    this.#advance();
  }

  /** The instruction at RIP is emulated. An access of an event's delivery belongs to no instruction: it ends the VP, as openvmm's emulator does. */
  #eptViolation(): void {
    const { r8, r10 } = this.#page.context.exitInfo;
    if ((r10.lo & InterruptionInfo.Valid) !== 0) {
      return this.#fatal(`the delivery of vector ${r10.lo & InterruptionInfo.VectorMask} accessed a device at ${this.#value.set(r8).toString()}`);
    }
    this.#handlers.emulateMmio(this.#vtl.vtl, this.#value.set(r8).toNumber());
  }

  /** Only XCR 0, at CPL 0 with CR4.OSXSAVE; the kernel writes it, and what the processor does not take is #GP (openvmm `validate_xsetbv_exit`). */
  #xsetbv(): void {
    const { gpr } = this.#page.context.gprList;
    this.#registers.readCr(4, this.#value);
    const allowed = this.#cpl() === 0 && (this.#value.lo & CR4_OSXSAVE) !== 0 && gpr[Gpr.Rcx]!.lo === 0;
    if (!allowed || this.#hcl.setVpRegister(HvRegister.Xfem, this.#value.setParts(gpr[Gpr.Rax]!.lo, gpr[Gpr.Rdx]!.lo)) !== HvStatus.Success) return this.#generalProtection();
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
