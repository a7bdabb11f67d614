/** The TDX backing's part of one VP (openvmm `TdxBacked`, in behaviour). */
import { EntryRcx, L2Ctl, OffloadFlag, RunFlag, RunStatus, SecondaryControl, TdvpsField, TdxStatus, TlbInvalidation, U64, VmxExit, VmxExitReason, l2VmOfVtl, viewTdxRunPage } from '@paravisor/hcl-protocol';
import type { HclVp, PrivatePage, TdxRunPage } from '@paravisor/hcl-protocol';
import { GuestActivity, OffloadResult, PushResult, StartupError } from '@paravisor/virt-core';
import type { BackingVp, BackingVpContext, ExitHandlers, GuestRegisters, InitialRegisters, VmTimeAccess } from '@paravisor/virt-core';
import { OffloadedApicPage, TdxApicPage } from './apic-page.js';
import { ExitDispatch } from './exit-dispatch.js';
import { TdxGuestRegisters } from './guest-registers.js';
import { initializeLowerVtl } from './initial-state.js';
import { TdvpsAccess } from './l2-field.js';
import { LowerVtl } from './lower-vtl.js';
import type { LowerVtlState } from './lower-vtl.js';
import type { PrivateRegisters } from './private-registers.js';
import type { TdxSettings } from './settings.js';
import { TscDeadlineState } from './timer/index.js';
import type { L2TscDeadlinePage, TdxGuestTimer, TdxTimerVp, TscDeadlineVpState } from './timer/index.js';

const VTL0 = 0;

/** A lower VTL with what is made around it. */
interface VtlParts {
  readonly state: LowerVtl;
  readonly registers: GuestRegisters;
  readonly exits: ExitDispatch;
}

/** What `TdxVp.save` gives. */
export type TdxVpState = {
  readonly tscDeadline: TscDeadlineVpState;
  readonly vtls: readonly LowerVtlState[];
  readonly eoiExits: readonly number[];
  readonly generation: number;
  readonly offloadWanted: boolean;
  readonly driverKnowsActivity: boolean;
};

/** A VP whose lower VTLs are L2 VMs of its VCPU. */
export class TdxVp implements BackingVp, TdxTimerVp {
  readonly vmTime: VmTimeAccess;
  /** Only touched by the TSC deadline service. */
  readonly tscDeadline = new TscDeadlineState();
  readonly deadlinePage: L2TscDeadlinePage;
  readonly #hcl: HclVp;
  readonly #page: TdxRunPage;
  readonly #guestTimer: TdxGuestTimer;
  readonly #settings: TdxSettings;
  readonly #access: TdvpsAccess;
  /** [VTL0, VTL1]. */
  readonly #vtls: readonly VtlParts[];
  readonly #handlers: ExitHandlers;
  readonly #apicPage: OffloadedApicPage;
  readonly #address = new U64();
  readonly #vtl1ApicPage: PrivatePage | undefined;
  /** VTL0's APIC is to be offloaded, and has not been yet. */
  #offloadWanted: boolean;
  /** The flags of the last run let the driver finish exits, and end halts. */
  #driverKnowsActivity = false;

  constructor({ hcl, vmTime, apics, handlers }: BackingVpContext, guestTimer: TdxGuestTimer, settings: TdxSettings) {
    this.#hcl = hcl;
    this.#handlers = handlers;
    this.#settings = settings;
    this.#offloadWanted = settings.offload;
    this.#vtl1ApicPage = hcl.vtl1ApicPage;
    this.vmTime = vmTime;
    this.#guestTimer = guestTimer;
    this.#access = new TdvpsAccess(hcl);
    const page = viewTdxRunPage(hcl.runPage);
    this.#page = page;
    this.deadlinePage = page.context.l2TscDeadline;
    let apicPage: OffloadedApicPage | undefined;
    const makePages = [
      (registers: PrivateRegisters) => (apicPage = new OffloadedApicPage(hcl.apicPage, this.#access, page, registers)),
      () => new TdxApicPage(this.#vtl1ApicPage?.bytes ?? new Uint8Array(hcl.apicPage.length)),
    ];
    this.#vtls = apics.map((apic, vtl) => {
      const state = new LowerVtl(vtl, this.#access, apic, makePages[vtl]!);
      const registers = new TdxGuestRegisters(page, state);
      return { state, registers, exits: new ExitDispatch(page, state, registers, handlers, hcl, settings.remedyIllegalSelfIpi) };
    });
    this.#apicPage = apicPage!;
    for (const vtl of apics.keys()) this.#setL2Controls(vtl);
    // No proxied interrupt may come before user mode asks for it (facts of the run page at VP creation).
    page.proxyIrrBlocked.fill(0xffffffff);
  }

  /** Both lower VTLs are set up with the VP, guest VSM or not: a trust domain with fewer L2 VMs than VTLs does not start (openvmm `TdxBacked::new`). */
  #setL2Controls(vtl: number): void {
    const { hi, lo } = TdvpsField.L2Ctls;
    const status = this.#access.tryWrite(lo + l2VmOfVtl(vtl), hi, L2Ctl.EnableSharedEpt);
    if (status === TdxStatus.Success) return;
    throw new StartupError(
      'l2-vm-missing',
      `TDG.VP.WR of the L2 controls of VTL${vtl} failed with status 0x${(status >>> 0).toString(16)}: the trust domain needs an L2 VM for each lower VTL, two`,
    );
  }

  rdtsc(out: U64): void {
    this.#hcl.rdtsc(out);
  }

  readonly registers = (vtl: number): GuestRegisters => this.#vtls[vtl]!.registers;

  initialize(vtl: number, registers: InitialRegisters): void {
    const { state } = this.#vtls[vtl]!;
    initializeLowerVtl(state, this.#access, this.#page, registers);
    if (vtl === VTL0 && this.#offloadWanted) {
      this.#offloadWanted = false;
      this.#setOffload(true);
      state.apic.enableOffload(this.#apicPage);
    }
    // The kernel has no page for VTL1's APIC: user mode names one of its own.
    if (vtl !== VTL0 && this.#vtl1ApicPage !== undefined) state.vmcs.virtualApicPage.write(this.#address.setNumber(this.#vtl1ApicPage.address));
    state.events.reset();
  }

  /** The run page and the APIC pages are the machine's to save. */
  save(): TdxVpState {
    return {
      tscDeadline: this.tscDeadline.save(),
      vtls: this.#vtls.map(({ state }) => state.save()),
      eoiExits: this.#apicPage.save(),
      generation: this.#access.generation,
      offloadWanted: this.#offloadWanted,
      driverKnowsActivity: this.#driverKnowsActivity,
    };
  }

  restore(saved: TdxVpState): void {
    this.tscDeadline.restore(saved.tscDeadline);
    for (const [vtl, { state }] of this.#vtls.entries()) state.restore(saved.vtls[vtl]!);
    this.#apicPage.restore(saved.eoiExits);
    this.#access.generation = saved.generation;
    this.#offloadWanted = saved.offloadWanted;
    this.#driverKnowsActivity = saved.driverKnowsActivity;
    this.#vtls[VTL0]!.state.apic.offload.attach(this.#apicPage);
  }

  #setOffload(on: boolean): void {
    this.#apicPage.setMsrsOffloaded(on);
    const { secondaryControls } = this.#vtls[VTL0]!.state.vmcs;
    const controls = secondaryControls.read().lo & ~SecondaryControl.VirtualInterruptDelivery;
    secondaryControls.change(on ? controls | SecondaryControl.VirtualInterruptDelivery : controls);
  }

  /** What VTLs share is in the run page, once a VP; what each has for itself is written there before its run. */
  switchVtl(_from: number, _to: number): void {}

  flushTlb(vtl: number): void {
    this.#vtls[vtl]!.state.flushTlb = true;
  }

  /** An event that the last exit cut off was queued again right after that exit: only the round's offers are forgotten here. */
  deliverPendingEvents(_vtl: number): void {
    for (const { state } of this.#vtls) state.events.startRound();
  }

  /** Only noted here: what an entry injects is decided just before it, when every source has spoken. The APIC is told then. */
  offerInterrupt(vtl: number, vector: number): void {
    this.#vtls[vtl]!.state.events.offerInterrupt(vector);
  }

  offerNmi(vtl: number): void {
    this.#vtls[vtl]!.state.events.offerNmi();
  }

  injectException(vtl: number, vector: number, errorCode: number): void {
    this.#vtls[vtl]!.state.events.injectException(vector, errorCode);
  }

  pendingEventVector(vtl: number): number {
    return this.#vtls[vtl]!.state.events.pendingVector;
  }

  isInterruptPending(vtl: number, checkRflags: boolean): boolean {
    return this.#vtls[vtl]!.state.events.isInterruptPending(checkRflags);
  }

  /**
   * VTL0 only. RVI other than 0 counts as pending whatever RFLAGS.IF, the shadow and TPR say: the processor delivers it when they allow (openvmm). An
   * auto-EOI request ends the offload for good.
   */
  offloadApic(vtl: number): OffloadResult {
    const { apic, registers } = this.#vtls[vtl]!.state;
    if (!apic.offload.enabled) return OffloadResult.NotOffloaded;
    if (apic.pushToOffload() === PushResult.NotSupported) {
      apic.disableOffload();
      this.#setOffload(false);
      return OffloadResult.NotOffloaded;
    }
    return registers.rvi === 0 ? OffloadResult.Idle : OffloadResult.Pending;
  }

  beforeRun(vtl: number, halted: boolean): void {
    const { state } = this.#vtls[vtl]!;
    const page = this.#page;
    if (!halted) {
      state.activity = GuestActivity.Running;
      state.events.resolve();
    }
    page.flags = halted ? page.flags | RunFlag.Halted : page.flags & ~RunFlag.Halted;
    page.offloadFlags = this.#offloadFlags(state, halted);
    page.context.entryRcx.setParts(state.flushTlb ? TlbInvalidation.AllContexts : 0, l2VmOfVtl(vtl) << EntryRcx.HighVmShift);
    this.#guestTimer.beginLowerVtlRun(this, vtl);
    state.registers.toRunPage(page);
  }

  /** What the driver may finish by itself in this run, and why the VP is halted: a halt for another reason than HLT or guest idle is not the driver's to end. */
  #offloadFlags({ vtl, apic, activity }: LowerVtl, halted: boolean): number {
    const other = halted && activity === GuestActivity.Running;
    const offloaded = vtl === VTL0 && apic.canOffloadIrr;
    this.#driverKnowsActivity = offloaded && !other;
    return (
      (offloaded ? OffloadFlag.IntrInject : 0) |
      (offloaded && apic.x2apicEnabled ? OffloadFlag.X2apic : 0) |
      (other ? OffloadFlag.HaltOther : 0) |
      (halted && activity === GuestActivity.Halted ? OffloadFlag.HaltHlt : 0) |
      (halted && activity === GuestActivity.Idle ? OffloadFlag.HaltIdle : 0)
    );
  }

  /** With the offload the guest may have run, and events may have gone in, also when the ioctl was cancelled: openvmm takes no note of that. */
  afterRun(vtl: number, status: RunStatus): void {
    const { state, exits } = this.#vtls[vtl]!;
    this.#access.generation++;
    state.flushTlb = false;
    state.registers.fromRunPage(this.#page);
    this.#guestTimer.endLowerVtlRun(this, vtl);
    if (this.#driverKnowsActivity) this.#takeActivity(state);
    if (status !== RunStatus.Finished) {
      if (this.#settings.remedyRepeatedEvent) state.events.mayHaveEntered();
      return;
    }
    const { exitInfo } = this.#page.context;
    // Any status from PENDING_INTERRUPT on, real errors included, is taken as "never entered": go round again.
    if (exitInfo.rax.hi >>> 0 >= TdxStatus.PendingInterrupt) return;
    if ((exitInfo.rax.lo & VmxExitReason.BasicMask) === VmxExit.TimerExpired) this.#guestTimer.expired?.(this);
    state.events.entered(exitInfo.r10, exitInfo.r11.hi);
    exits.dispatch();
  }

  /** The driver may have begun or ended a halt. */
  #takeActivity(state: LowerVtl): void {
    const { offloadFlags } = this.#page;
    const before = state.activity;
    state.activity =
      (offloadFlags & OffloadFlag.HaltHlt) !== 0 ? GuestActivity.Halted
      : (offloadFlags & OffloadFlag.HaltIdle) !== 0 ? GuestActivity.Idle
      : GuestActivity.Running;
    if (state.activity !== before) this.#handlers.activityChanged(state.vtl, state.activity);
  }
}
