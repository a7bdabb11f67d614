import { EventInject, RunFlag, RunStatus, SvmExit, VIntr, viewSnpRunPage, viewVmsa } from '@paravisor/hcl-protocol';
import type { HclVp, SnpRunPage, U64Field, Vmsa } from '@paravisor/hcl-protocol';
import { OffloadResult, StartupError } from '@paravisor/virt-core';
import type { BackingVpContext, ExitHandlers, GuestRegisters, HardwareIsolatedGuestTimer, InitialRegisters, LocalApic, VmTimeAccess, VpAssistPage } from '@paravisor/virt-core';
import {
  clearGuestBusy,
  injectException,
  injectNmi,
  isInterruptOffered,
  isInterruptPending,
  offerVirtualInterrupt,
  reinjectInterrupted,
  testAndSetGuestBusy,
  withdrawInterrupt,
} from './pending-events.js';
import { ExitDispatch } from './exit-dispatch.js';
import { initializeVmsa } from './initial-state.js';
import { SnpGuestRegisters, gprFields } from './guest-registers.js';
import { RearmScan, Stimer0Handoff } from './timer/index.js';
import type { SnpTimerVp } from './timer/index.js';

/** One lower VTL of the VP: its VMSA, and what works on it. */
interface LowerVtl {
  readonly page: Uint8Array;
  readonly vmsa: Vmsa;
  readonly gpr: readonly U64Field[];
  readonly registers: SnpGuestRegisters;
  readonly exits: ExitDispatch;
}

const LOWER_VTLS = [0, 1] as const;
const RSP = 4;

/** A VP whose lower VTLs are VMSAs run in VMPL2 and VMPL1 (openvmm `SnpBacked`). */
export class SnpVp implements SnpTimerVp {
  readonly vmTime: VmTimeAccess;
  /** What the guest timer remembers between scans; unused when re-arming is off. */
  readonly rearmScan = new RearmScan();
  /** STIMER0 between user mode and driver; unused when the driver is to take nothing. */
  readonly stimer0: Stimer0Handoff;
  /** Whether guest-busy was clear when the last run came back: the exit was an automatic one, or there was none. */
  lastExitWasAutomatic = true;
  readonly #hcl: HclVp;
  readonly #runPage: SnpRunPage;
  readonly #apics: readonly LocalApic[];
  readonly #assistPages: readonly VpAssistPage[];
  readonly #guestTimer: HardwareIsolatedGuestTimer<SnpTimerVp>;
  readonly #handlers: ExitHandlers;
  readonly #vtls: readonly LowerVtl[];
  /** Virtual interrupt control as it was before the run: whether an interrupt was offered, and which. */
  #offered = false;
  #offeredVector = 0;
  #lazyEoiOffered = false;

  /** @throws {StartupError} when the driver maps no VMSA. */
  constructor({ hcl, vmTime, apics, synics, assistPages, handlers }: BackingVpContext, guestTimer: HardwareIsolatedGuestTimer<SnpTimerVp>) {
    this.vmTime = vmTime;
    this.#hcl = hcl;
    this.#apics = apics;
    this.#assistPages = assistPages;
    this.#guestTimer = guestTimer;
    this.#handlers = handlers;
    this.#runPage = viewSnpRunPage(hcl.runPage);
    this.stimer0 = new Stimer0Handoff(this.#runPage.context, synics[0]!);
    this.#vtls = LOWER_VTLS.map((vtl) => {
      const page = hcl.vmsa(vtl);
      if (page === null) throw new StartupError('snp-no-vmsa', `the driver maps no VMSA of VTL${vtl}: the SNP backing needs an SNP machine`);
      const vmsa = viewVmsa(page);
      return { page, vmsa, gpr: gprFields(vmsa), registers: new SnpGuestRegisters(vmsa), exits: new ExitDispatch({ vtl, vmsa, hcl, handlers }) };
    });
    // No proxied interrupt may come before user mode asks for it.
    this.#runPage.proxyIrrBlocked.fill(0xffffffff);
    for (const [vtl, apic] of apics.entries()) apic.attachCr8(this.#vtls[vtl]!.registers);
  }

  readonly registers = (vtl: number): GuestRegisters => this.#vtls[vtl]!.registers;

  /** Fills the VMSA: features, VMPL, the loader's registers, guest-busy. What it held, a queued event too, is gone. */
  initialize(vtl: number, registers: InitialRegisters): void {
    const { page, vmsa } = this.#vtls[vtl]!;
    initializeVmsa(page, vmsa, vtl, registers);
  }

  /** Each VTL has a VMSA of its own: general registers except RSP and CR2 are copied. */
  switchVtl(from: number, to: number): void {
    const source = this.#vtls[from]!.gpr;
    const target = this.#vtls[to]!.gpr;
    for (let index = 0; index < source.length; index++) if (index !== RSP) target[index]!.set(source[index]!);
    this.#vtls[to]!.vmsa.cr2.set(this.#vtls[from]!.vmsa.cr2);
  }

  /** Zero is no physical CPU's id of the last run: the next VMRUN starts with an empty TLB (APM 15.36.11). */
  flushTlb(vtl: number): void {
    this.#vtls[vtl]!.vmsa.pcpuId.setParts(0, 0);
  }

  /** An event that an exit cut off was queued again right after that exit: nothing is left to do here. */
  deliverPendingEvents(_vtl: number): void {}

  /** Into virtual interrupt control; hardware delivers it when the guest can take it, and the APIC is acknowledged when it has. */
  offerInterrupt(vtl: number, vector: number): void {
    offerVirtualInterrupt(this.#vtls[vtl]!.vmsa, vector);
  }

  /** Into event injection. */
  offerNmi(vtl: number): void {
    injectNmi(this.#vtls[vtl]!.vmsa);
  }

  /** Into event injection. */
  injectException(vtl: number, vector: number, errorCode: number): void {
    injectException(this.#vtls[vtl]!.vmsa, vector, errorCode);
  }

  pendingEventVector(vtl: number): number {
    const { lo } = this.#vtls[vtl]!.vmsa.eventInject;
    return (lo & EventInject.Valid) === 0 ? -1 : lo & EventInject.VectorMask;
  }

  isInterruptPending(vtl: number, checkRflags: boolean): boolean {
    return isInterruptPending(this.#vtls[vtl]!.vmsa, checkRflags);
  }

  /** Without secure AVIC the APIC's state stays in user mode. */
  offloadApic(_vtl: number): OffloadResult {
    return OffloadResult.NotOffloaded;
  }

  /** openvmm asserts that it never happens. */
  handoffBroken(vtl: number): void {
    this.#handlers.fatal(vtl, `the driver took a write of STIMER0_COUNT while VTL${vtl} ran`);
  }

  /** Clears guest-busy so that the host may run the VMSA, writes `target_vtl` and the HALTED flag, and offers lazy EOI. */
  beforeRun(vtl: number, halted: boolean): void {
    const { vmsa } = this.#vtls[vtl]!;
    this.#offered = isInterruptOffered(vmsa);
    this.#offeredVector = vmsa.vIntrCntrl.hi & VIntr.HighVectorMask;
    clearGuestBusy(vmsa);
    this.#guestTimer.beginLowerVtlRun(this, vtl);
    const page = this.#runPage;
    page.flags = halted ? page.flags | RunFlag.Halted : page.flags & ~RunFlag.Halted;
    page.targetVtl = vtl;
    this.#lazyEoiOffered = this.#apics[vtl]!.lazyEoiPossible && this.#assistPages[vtl]!.offerLazyEoi();
  }

  afterRun(vtl: number, status: RunStatus): void {
    const { vmsa, exits } = this.#vtls[vtl]!;
    this.#guestTimer.endLowerVtlRun(this, vtl);
    this.lastExitWasAutomatic = !testAndSetGuestBusy(vmsa);
    reinjectInterrupted(vmsa);
    if (this.#offered && !isInterruptOffered(vmsa)) this.#apics[vtl]!.acknowledge(this.#offeredVector);
    withdrawInterrupt(vmsa);
    if (this.#lazyEoiOffered && this.#assistPages[vtl]!.takeLazyEoi()) this.#apics[vtl]!.lazyEoi();
    exits.dispatch(status === RunStatus.Finished && this.#hcl.interceptMessagePresent);
    // The exit is done: a VMSA that comes back without having run must not have it handled again.
    vmsa.guestErrorCode.setParts(SvmExit.Intr, 0);
  }
}
