import { RunStatus, U64, viewRunPage } from '@paravisor/hcl-protocol';
import type { Hcl, HclVp, Plain, ReadonlyU64, RunPage } from '@paravisor/hcl-protocol';
import type { ApicWork, LocalApic, LocalApicSet } from '../apic/index.js';
import { OffloadResult } from '../contract/index.js';
import type { BackingShared, BackingVp, Chipset, InitialRegisters, MsrStatus, TimerObserver, VpFault } from '../contract/index.js';
import { GuestCpuid } from '../cpuid/index.js';
import type { HypervisorCpuidParameters } from '../cpuid/index.js';
import type { HypercallTable } from '../hypercall/index.js';
import { MmioEmulator } from '../mmio/index.js';
import { GuestCrash } from '../msr/index.js';
import type { HypervisorRegisters } from '../msr/index.js';
import { ReferenceClock, VmTimeAccess } from '../time/index.js';
import type { VmTimeState } from '../time/index.js';
import { VpVsm, VtlSwitch } from '../vsm/index.js';
import type { GuestVsm, VpVsmState, VsmVp } from '../vsm/index.js';
import { createLowerVtl } from './create-lower-vtl.js';
import { VpExitHandlers } from './exit-handlers.js';
import { Activity, WakeReason, restoreLowerVtl, saveLowerVtl } from './lower-vtl.js';
import type { LowerVtl, LowerVtlState } from './lower-vtl.js';
import { ProxiedInterrupts } from './proxied-interrupts.js';
import { VpStartup } from './startup.js';

const VTL0 = 0;
const VTL1 = 1;
const RFLAGS_IF = 1 << 9;
/** Rounds between two calls of the ioctl: enough for a time at which a timer is due to become one that lies behind it, 100 ns later. */
const MAX_ROUNDS = 16;
/** Messages of guests that wait at a SINT at most. openvmm's queues are without bound, and no guest reaches them. */
const GUEST_MESSAGES_PER_SINT = 64;

/** What a VP gets from its partition. */
export interface ParavisorVpOptions {
  readonly hcl: Hcl;
  readonly hclVp: HclVp;
  readonly shared: BackingShared;
  readonly chipset: Chipset;
  readonly observer: TimerObserver;
  /** Hz. */
  readonly tscFrequency: number;
  /** VmTime (100 ns) and the OS time (ns) at which it is read. */
  readonly vmTimeOrigin: { readonly vmTime: U64; readonly osNs: U64 };
  readonly cpuid: HypervisorCpuidParameters;
  /** By VTL: what all VPs share. */
  readonly apicSets: readonly LocalApicSet[];
  readonly hypervisorRegisters: readonly HypervisorRegisters[];
  readonly hypercalls: HypercallTable;
  readonly vsm: GuestVsm;
  readonly remedyAutoEoi: boolean;
}

/** How long the guest has for an auto-EOI interrupt before it is called back for the one behind: 50 µs, in 100 ns. */
const AUTO_EOI_TIMEOUT = 500;

/**
 * One VP's thread in user mode: openvmm's loop around the run ioctl (`UhProcessor::run_vp`), cut in two at the ioctl, since a JavaScript thread cannot
 * block in it. `prepare`, the ioctl, `complete`, and again; `run` does just that.
 */
export class ParavisorVp implements VsmVp {
  readonly index: number;
  readonly backing: BackingVp;
  readonly vsm: VpVsm;
  readonly vtlSwitch: VtlSwitch;
  readonly #hcl: HclVp;
  readonly #runPage: RunPage;
  readonly #shared: BackingShared;
  readonly #vmTime: VmTimeAccess;
  readonly #clock: ReferenceClock;
  /** [VTL0, VTL1]. */
  readonly #vtls: readonly LowerVtl[];
  readonly #vtl0: LowerVtl;
  readonly #vtl1: LowerVtl;
  readonly #apicSets: readonly LocalApicSet[];
  readonly #refTime = new U64();
  readonly #hostTime = new U64();
  readonly #osTime = new U64();
  readonly #crash = new GuestCrash();
  readonly #startup: VpStartup;
  readonly #handlers: VpExitHandlers;
  readonly #proxied: ProxiedInterrupts;
  readonly #remedyAutoEoi: boolean;
  readonly #callBack = new U64();
  readonly #ahead = new U64().setNumber(AUTO_EOI_TIMEOUT);
  /** The round is over, and the ioctl has not returned: who wakes this VP has to call it back. */
  #insideRun = false;
  #fault: VpFault | null = null;

  constructor(options: ParavisorVpOptions) {
    const { hclVp, shared, vmTimeOrigin } = options;
    this.index = hclVp.index;
    this.#hcl = hclVp;
    this.#runPage = viewRunPage(hclVp.runPage);
    this.#shared = shared;
    this.#apicSets = options.apicSets;
    this.#remedyAutoEoi = options.remedyAutoEoi;
    this.#vmTime = new VmTimeAccess(hclVp, vmTimeOrigin.vmTime, vmTimeOrigin.osNs);
    this.#clock = new ReferenceClock(hclVp, options.tscFrequency);
    const parts = { ...options, fixedMsrs: shared.fixedMsrs, crash: this.#crash, vmTime: this.#vmTime, clock: this.#clock, runPage: this.#runPage };
    this.#vtl0 = createLowerVtl(parts, VTL0);
    this.#vtl1 = createLowerVtl(parts, VTL1);
    this.#vtls = [this.#vtl0, this.#vtl1];
    this.vsm = new VpVsm(this.index);
    const { apic: vtl1Apic, assistPage: vtl1AssistPage } = this.#vtl1;
    this.vtlSwitch = new VtlSwitch({
      vsm: this.vsm,
      assistPage: vtl1AssistPage,
      requestVtl1Interrupt: (vector, autoEoi) => vtl1Apic.requestSynicInterrupt(vector, autoEoi),
    });
    this.#proxied = new ProxiedInterrupts(this.#runPage, this.#vtl0.apic);

    const handlers = new VpExitHandlers({
      vtls: this.#vtls,
      cpuid: new GuestCpuid(hclVp, options.hcl.vps.length, options.shared.nativeCpuid, options.cpuid),
      chipset: options.chipset,
      hypercalls: { vp: this.index, memory: options.hcl.memory, table: options.hypercalls },
      fatal: (vtl, reason) => this.#recordFault(vtl, reason),
    });
    this.#handlers = handlers;
    const apics = this.#vtls.map(({ apic }) => apic);
    const synics = this.#vtls.map(({ synic }) => synic);
    const assistPages = this.#vtls.map(({ assistPage }) => assistPage);
    this.backing = shared.createVp({ hcl: hclVp, vmTime: this.#vmTime, apics, synics, assistPages, handlers });
    const emulator = new MmioEmulator({ backing: this.backing, hclVp, memory: options.hcl.memory, apics, chipset: options.chipset, fatal: handlers.fatal.bind(handlers) });
    handlers.connect(this.backing, emulator);
    this.vtlSwitch.connect(this.backing);
    this.#startup = new VpStartup({ hcl: hclVp, backing: this.backing, guestVsm: options.vsm, vsm: this.vsm, vtlSwitch: this.vtlSwitch });
  }

  /** Why the VP ended, or null while it lives. */
  get fault(): VpFault | null {
    return this.#fault;
  }

  /** The VTL that ran last, or runs next. */
  get activeVtl(): number {
    return this.vtlSwitch.activeVtl;
  }

  get apicId(): number {
    return this.#vtl0.apic.apicId;
  }

  /** The local APIC of a lower VTL: for devices and debuggers. */
  apic(vtl: number): LocalApic {
    return this.#vtls[vtl]!.apic;
  }

  readMsr(vtl: number, msr: number, out: U64): MsrStatus {
    return this.#handlers.readMsr(vtl, msr, out);
  }

  writeMsr(vtl: number, msr: number, value: ReadonlyU64): MsrStatus {
    return this.#handlers.writeMsr(vtl, msr, value);
  }

  /** Power-on: the first VP's VTL0 has the loader's registers; the others' wait for a start-up IPI or a start by hypercall. */
  powerOn(registers: InitialRegisters): void {
    this.#startup.powerOn(this.#vtl0, registers);
  }

  /** A device's interrupt message for this VP alone (`DeliveryMode`, vector): staged in its APIC, and the VP is woken. */
  requestInterrupt(vtl: number, deliveryMode: number, vector: number, levelTriggered: boolean): void {
    this.#apicSets[vtl]!.request(this.#vtls[vtl]!.apic, deliveryMode, vector, levelTriggered, false);
  }

  /** A pulse at LINT pin 0 or 1 of VTL0's APIC. */
  pulseLint(pin: 0 | 1): void {
    this.#vtl0.apic.pulseLint(pin);
  }

  /** Queues a 256-byte message from the paravisor to a SINT of a lower VTL. */
  postMessage(vtl: number, sint: number, message: Uint8Array): void {
    if (this.#vtls[vtl]!.messages.enqueue(sint, message)) this.wake(vtl, WakeReason.MessageQueues);
  }

  /** As `postMessage`, for a message that a guest sent. False when as many of those wait at the SINT as may. */
  queueGuestMessage(vtl: number, sint: number, message: Uint8Array): boolean {
    if (this.#vtls[vtl]!.messages.waiting(sint) >= GUEST_MESSAGES_PER_SINT) return false;
    this.postMessage(vtl, sint, message);
    return true;
  }

  /** Sets an event flag (0 to 2047) of a SINT and raises its interrupt. False when the SINT takes no event now, or the flag was set. */
  signalEvent(vtl: number, sint: number, flag: number): boolean {
    return this.#vtls[vtl]!.synic.signalEvent(sint, flag);
  }

  /** Raises the interrupt of a SINT, as a device without message or event does. Nothing when the SINT is masked or proxied. */
  signalSint(vtl: number, sint: number): void {
    const { sints } = this.#vtls[vtl]!.synic;
    if (!sints.isMasked(sint) && !sints.isProxied(sint)) sints.interrupt(sint);
  }

  /** Guest translations of `vtl` are forgotten before its next instruction: a thread that is inside the run ioctl is called back for it. */
  flushTlb(vtl: number): void {
    this.backing.flushTlb(vtl);
    if (this.#insideRun) this.#hcl.wake();
  }

  wakeForStart(vtl: number): void {
    this.wake(vtl, WakeReason.StartEnableVtl);
  }

  /**
   * Something waits for this VP: its next round looks. A thread that is inside the run ioctl is called back, unless it has been for the same reason; one
   * in user mode goes round before it enters the ioctl.
   */
  wake(vtl: number, reason: number): void {
    const lowerVtl = this.#vtls[vtl]!;
    if ((lowerVtl.wakeReasons & reason) !== 0) return;
    lowerVtl.wakeReasons |= reason;
    if (this.#insideRun) this.#hcl.wake();
  }

  /** Goes round until the machine wants the thread back (the ioctl is pending: call again later) or the VP ended. Returns the fault then. */
  run(): VpFault | null {
    for (;;) {
      if (!this.#insideRun && !this.prepare()) return this.#fault;
      const status = this.#hcl.run();
      if (status === RunStatus.Pending) return null;
      this.complete(status);
    }
  }

  /** Everything of a round before the run ioctl. False when the VP ended: do not run it. */
  prepare(): boolean {
    if (this.#fault !== null) return false;
    let rounds = 1;
    while (this.#round() || this.#hasMoreToDo()) {
      if (rounds++ < MAX_ROUNDS) continue;
      // Timers that come due faster than a round must not hold the thread here for ever: it goes round by way of the ioctl.
      this.#runPage.cancel = 1;
      break;
    }
    if (this.#fault !== null) return false;
    this.#armHostTimer();
    const { activeVtl } = this;
    this.#insideRun = true;
    this.backing.beforeRun(activeVtl, (activeVtl === VTL0 ? this.#vtl0 : this.#vtl1).activity !== Activity.Running);
    return true;
  }

  /** Everything of a round after the run ioctl returned `status`, which is not Pending. */
  complete(status: RunStatus): void {
    this.#insideRun = false;
    if (status === RunStatus.Failed) this.#recordFault(this.activeVtl, `the run ioctl failed with errno ${this.#hcl.runErrno}`);
    else this.backing.afterRun(this.activeVtl, status);
  }

  /** True when the round is to be repeated: VTL1 has to hear of an interrupt of VTL0 (VINA). */
  #round(): boolean {
    this.#runPage.cancel = 0;
    this.#vmTime.cancelTimeout();
    this.#takeWakeReasons(this.#vtl1);
    this.#takeWakeReasons(this.#vtl0);
    return this.#processInterrupts();
  }

  /**
   * Whether the thread goes round again before it may block in the ioctl: the timeout is not in the future, which costs the host nothing, since only a time
   * ahead is armed (`poll_timer` in openvmm's `run_vp`), or the VP woke itself in its round (openvmm's `pre_block`).
   */
  #hasMoreToDo(): boolean {
    return (this.#vtl0.wakeReasons | this.#vtl1.wakeReasons) !== 0 || this.#timeoutHasCome();
  }

  /** Leaves the timeout's OS time in `#hostTime`. */
  #timeoutHasCome(): boolean {
    if (!this.#vmTime.hasTimeout) return false;
    this.#vmTime.hostTimeNs(this.#vmTime.timeout, this.#hostTime);
    this.#hcl.osTimeNs(this.#osTime);
    return !this.#osTime.isBelow(this.#hostTime);
  }

  #takeWakeReasons(lowerVtl: LowerVtl): void {
    const reasons = lowerVtl.wakeReasons;
    lowerVtl.scanIrr = (reasons & WakeReason.Apic) !== 0;
    if (reasons === 0) return;
    lowerVtl.wakeReasons = 0;
    if ((reasons & WakeReason.MessageQueues) !== 0) lowerVtl.messages.prepare();
    if ((reasons & WakeReason.StartEnableVtl) !== 0) this.#startup.takeRequest(lowerVtl);
  }

  /** VTL1 first, so that of two deadlines and two interrupts its own counts first. */
  #processInterrupts(): boolean {
    this.#shared.guestTimer.clearDeadline(this.backing);
    this.backing.deliverPendingEvents(this.activeVtl);
    // What VTL1 gives VTL0 ends a halt of it.
    if (this.vtlSwitch.deliverExitEvent()) this.#vtl0.activity = Activity.Running;
    if (this.#vtl1.enabled) this.#scan(this.#vtl1);
    if (this.#vtl0.enabled) this.#scan(this.#vtl0);
    return this.vtlSwitch.handleInterrupts();
  }

  #scan(lowerVtl: LowerVtl): void {
    this.#scanSynic(lowerVtl);
    this.#pollApic(lowerVtl);
  }

  /**
   * What the scan makes due is staged in the APIC and wakes this VP: the next round, which follows before the run ioctl, scans the staged requests. One
   * that was woken before its SynIC scan sees them in this round already, and still goes round once more.
   */
  #scanSynic({ synic, messages }: LowerVtl): void {
    for (;;) {
      this.#clock.now(this.#refTime);
      const slotsFree = synic.scan(this.#refTime);
      if (synic.hasNextDue) this.#shared.guestTimer.updateDeadline(this.backing, this.#refTime, synic.nextDue);
      if (!slotsFree) return;
      messages.deliver(synic.readySints);
    }
  }

  #pollApic(lowerVtl: LowerVtl): void {
    const { vtl, apic } = lowerVtl;
    if (vtl === VTL0) this.#proxied.take();
    const work = apic.scan(this.#vmTime, lowerVtl.scanIrr);
    if (work.init) this.#startup.init(lowerVtl);
    if (work.sipi >= 0) this.#startup.startUp(lowerVtl, work.sipi);
    // Interrupts are ignored while waiting for the start-up IPI.
    if (lowerVtl.activity === Activity.WaitForSipi) return;
    const offload = this.backing.offloadApic(vtl);
    // Hardware that keeps the APIC's requests ends the halt by what it would deliver (openvmm, TDX `process_interrupts`).
    if (offload === OffloadResult.Pending) lowerVtl.activity = Activity.Running;
    if (offload !== OffloadResult.NotOffloaded) work.interrupt = -1;
    if (work.nmi || work.interrupt >= 0) this.#offer(lowerVtl, work);
  }

  #offer(lowerVtl: LowerVtl, { nmi, interrupt }: ApicWork): void {
    if (nmi) {
      lowerVtl.activity = Activity.Running;
      this.backing.offerNmi(lowerVtl.vtl);
    }
    if (interrupt >= 0) {
      if (this.#interruptEndsHalt(lowerVtl)) lowerVtl.activity = Activity.Running;
      this.backing.offerInterrupt(lowerVtl.vtl, interrupt);
      if (this.#remedyAutoEoi && lowerVtl.apic.requests.waitsBehindAutoEoi(interrupt)) this.#callBackSoon();
    }
  }

  #callBackSoon(): void {
    this.#vmTime.now(this.#callBack);
    this.#vmTime.setTimeoutIfBefore(this.#callBack.add(this.#ahead));
  }

  #interruptEndsHalt({ vtl, activity }: LowerVtl): boolean {
    if (activity !== Activity.Halted || this.#shared.interruptEndsHaltWithoutIf) return true;
    return (this.backing.registers(vtl).readRflags() & RFLAGS_IF) !== 0;
  }

  #armHostTimer(): void {
    // The thread is not going to block: what is armed stays.
    if (this.#runPage.cancel !== 0) return;
    if (this.#vmTime.hasTimeout) this.#hcl.armTimer(this.#hostTime);
    else this.#hcl.cancelTimer();
  }

  /** Between rounds: before the first, inside the ioctl, or after the end. */
  save(): ParavisorVpState {
    return {
      vtls: this.#vtls.map(saveLowerVtl),
      vsm: this.vsm.save(),
      activeVtl: this.activeVtl,
      vmTime: this.#vmTime.save(),
      crash: this.#crash.save(),
      backing: this.backing.save(),
      insideRun: this.#insideRun,
      fault: this.#fault,
    };
  }

  restore(state: ParavisorVpState): void {
    for (const lowerVtl of this.#vtls) restoreLowerVtl(lowerVtl, state.vtls[lowerVtl.vtl]!);
    this.vsm.restore(state.vsm);
    this.vtlSwitch.activeVtl = state.activeVtl;
    this.#vmTime.restore(state.vmTime);
    this.#crash.restore(state.crash);
    this.backing.restore(state.backing);
    this.#insideRun = state.insideRun;
    this.#fault = state.fault;
  }

  #recordFault(vtl: number, reason: string): void {
    this.#fault ??= { vp: this.index, vtl, reason };
  }
}

/** `ParavisorVp` as plain data. */
export type ParavisorVpState = {
  readonly vtls: readonly LowerVtlState[];
  readonly vsm: VpVsmState;
  readonly activeVtl: number;
  readonly vmTime: VmTimeState;
  readonly crash: readonly string[];
  readonly backing: Plain;
  readonly insideRun: boolean;
  readonly fault: { readonly vp: number; readonly vtl: number; readonly reason: string } | null;
};
