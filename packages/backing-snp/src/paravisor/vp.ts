import { EventInject, RunFlag, RunStatus, SvmExit, VIntr, viewSnpRunPage, viewVmsa } from '@paravisor/hcl-protocol';
import type { HclVp, SnpRunPage, Vmsa } from '@paravisor/hcl-protocol';
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
import { SnpGuestRegisters } from './guest-registers.js';
import type { GuestPages } from './guest-memory.js';
import { SharedRegisters } from './shared-registers.js';
import { RearmScan, Stimer0Handoff } from './timer/index.js';
import type { RearmScanState, SnpTimerVp } from './timer/index.js';

/** One lower VTL of the VP: its VMSA, and what works on it. */
interface LowerVtl {
  readonly vmsa: Vmsa;
  readonly shared: SharedRegisters;
  readonly registers: SnpGuestRegisters;
  readonly exits: ExitDispatch;
}

/** What happened around the runs of one VTL. */
export type SnpVtlStatistics = {
  /** Runs that came back guest-busy: their exit was not an automatic one. */
  guestBusy: number;
  interruptsAcknowledged: number;
  /** Intercept messages of the host that no exit asked for. */
  syntheticIntercepts: number;
};

export type SnpVpState = {
  readonly rearmScan: RearmScanState;
  readonly statistics: readonly SnpVtlStatistics[];
  /** The vector on offer in the run that is under way, or was last; −1 for none. */
  readonly offered: number;
  readonly lazyEoiOffered: boolean;
};

const LOWER_VTLS = [0, 1] as const;
const VTL1 = 1;

/** A VP whose lower VTLs are VMSAs run in VMPL2 and VMPL1 (openvmm `SnpBacked`). */
export class SnpVp implements SnpTimerVp {
  readonly vmTime: VmTimeAccess;
  /** What the guest timer remembers between scans; unused when re-arming is off. */
  readonly rearmScan = new RearmScan();
  /** STIMER0 between user mode and driver; unused when the driver is to take nothing. */
  readonly stimer0: Stimer0Handoff;
  /** What has been counted, by VTL (openvmm `GeneralStats`). */
  readonly statistics: readonly SnpVtlStatistics[] = LOWER_VTLS.map(() => ({ guestBusy: 0, interruptsAcknowledged: 0, syntheticIntercepts: 0 }));
  readonly #hcl: HclVp;
  readonly #runPage: SnpRunPage;
  readonly #apics: readonly LocalApic[];
  readonly #assistPages: readonly VpAssistPage[];
  readonly #guestTimer: HardwareIsolatedGuestTimer<SnpTimerVp>;
  readonly #handlers: ExitHandlers;
  readonly #pages: GuestPages;
  readonly #vtls: readonly LowerVtl[];
  /** Virtual interrupt control as it was before the run: whether an interrupt was offered, and which. */
  #offered = false;
  #offeredVector = 0;
  #lazyEoiOffered = false;

  /** @throws {StartupError} when the driver maps no VMSA. */
  constructor({ hcl, vmTime, apics, synics, assistPages, handlers }: BackingVpContext, guestTimer: HardwareIsolatedGuestTimer<SnpTimerVp>, pages: GuestPages) {
    this.vmTime = vmTime;
    this.#hcl = hcl;
    this.#apics = apics;
    this.#assistPages = assistPages;
    this.#guestTimer = guestTimer;
    this.#pages = pages;
    this.#handlers = handlers;
    this.#runPage = viewSnpRunPage(hcl.runPage);
    this.stimer0 = new Stimer0Handoff(this.#runPage.context, synics[0]!);
    this.#vtls = LOWER_VTLS.map((vtl) => {
      const page = hcl.vmsa(vtl);
      if (page === null) throw new StartupError('snp-no-vmsa', `the driver maps no VMSA of VTL${vtl}: the SNP backing needs an SNP machine`);
      const vmsa = viewVmsa(page);
      return { vmsa, shared: new SharedRegisters(vmsa), registers: new SnpGuestRegisters(vmsa), exits: new ExitDispatch({ vtl, vmsa, hcl, handlers }) };
    });
    // No proxied interrupt may come before user mode asks for it.
    this.#runPage.proxyIrrBlocked.fill(0xffffffff);
    for (const [vtl, apic] of apics.entries()) apic.attachCr8(this.#vtls[vtl]!.registers);
  }

  readonly registers = (vtl: number): GuestRegisters => this.#vtls[vtl]!.registers;

  /** Fills the VMSA: features, VMPL, the registers given, guest-busy. A queued event is gone. VTL1's first opens guest RAM to VMPL1. */
  initialize(vtl: number, registers: InitialRegisters): void {
    initializeVmsa(this.#vtls[vtl]!.vmsa, vtl, registers);
    const errno = vtl === VTL1 ? this.#pages.openToVtl1(this.#hcl.index) : 0;
    if (errno !== 0) this.#handlers.fatal(vtl, `the driver refused to open guest RAM to VTL1, errno ${errno}`);
  }

  /** Each VTL has a VMSA of its own. */
  switchVtl(from: number, to: number): void {
    this.#vtls[to]!.shared.copyFrom(this.#vtls[from]!.shared);
  }

  /** No processor's id is 0: hardware finds another than it left and flushes at VMRUN. An assumption: openvmm uses INVLPGB through its driver. */
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
    return isInterruptPending(this.#vtls[vtl]!.vmsa, this.#apics[vtl]!.processorPriority, checkRflags);
  }

  /** Without secure AVIC the APIC's state stays in user mode. What was offered before is withdrawn: this round's scan decides (openvmm `poll_apic`). */
  offloadApic(vtl: number): OffloadResult {
    withdrawInterrupt(this.#vtls[vtl]!.vmsa);
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
    const assistPage = this.#assistPages[vtl]!;
    this.#lazyEoiOffered = assistPage.enabled && this.#apics[vtl]!.lazyEoiPossible && assistPage.offerLazyEoi();
  }

  afterRun(vtl: number, status: RunStatus): void {
    const { vmsa, exits } = this.#vtls[vtl]!;
    this.#guestTimer.endLowerVtlRun(this, vtl);
    const statistics = this.statistics[vtl]!;
    if (testAndSetGuestBusy(vmsa)) statistics.guestBusy++;
    reinjectInterrupted(vmsa);
    if (this.#offered && !isInterruptOffered(vmsa)) {
      this.#apics[vtl]!.acknowledge(this.#offeredVector);
      statistics.interruptsAcknowledged++;
    }
    withdrawInterrupt(vmsa);
    if (this.#lazyEoiOffered && this.#assistPages[vtl]!.takeLazyEoi()) this.#apics[vtl]!.lazyEoi();
    const messagePresent = status === RunStatus.Finished && this.#hcl.interceptMessagePresent;
    // A message that the exit does not explain is the host's own affair: openvmm logs it, and goes on.
    if (!exits.dispatch(messagePresent) && messagePresent) statistics.syntheticIntercepts++;
    // The exit is done: a VMSA that comes back without having run must not have it handled again.
    vmsa.guestErrorCode.setParts(SvmExit.Intr, 0);
  }

  /** The VMSAs and the run page are the machine's to save. */
  save(): SnpVpState {
    return {
      rearmScan: this.rearmScan.save(),
      statistics: this.statistics.map((counts) => ({ ...counts })),
      offered: this.#offered ? this.#offeredVector : -1,
      lazyEoiOffered: this.#lazyEoiOffered,
    };
  }

  restore({ rearmScan, statistics, offered, lazyEoiOffered }: SnpVpState): void {
    this.rearmScan.restore(rearmScan);
    for (const [vtl, counts] of statistics.entries()) Object.assign(this.statistics[vtl]!, counts);
    this.#offered = offered >= 0;
    this.#offeredVector = Math.max(0, offered);
    this.#lazyEoiOffered = lazyEoiOffered;
  }
}
