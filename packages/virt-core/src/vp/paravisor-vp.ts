import { RunStatus, U64, viewRunPage } from '@paravisor/hcl-protocol';
import type { Hcl, HclVp, RunPage } from '@paravisor/hcl-protocol';
import { LocalApic } from '../apic/index.js';
import type { ApicWork, LocalApicSet } from '../apic/index.js';
import { OffloadResult } from '../contract/index.js';
import type { BackingShared, BackingVp, Chipset, InitialRegisters, TimerObserver, VpFault } from '../contract/index.js';
import { GuestCpuid } from '../cpuid/index.js';
import type { HypervisorCpuidParameters } from '../cpuid/index.js';
import type { HypercallTable } from '../hypercall/index.js';
import { MmioEmulator } from '../mmio/index.js';
import { ArchitecturalMsrs, GuestMsrs, VpAssistPage } from '../msr/index.js';
import type { HypervisorRegisters } from '../msr/index.js';
import { filterProxiedVectors, Synic } from '../synic/index.js';
import { ReferenceClock, VmTimeAccess } from '../time/index.js';
import { VpExitHandlers } from './exit-handlers.js';
import { Activity } from './lower-vtl.js';
import type { LowerVtl } from './lower-vtl.js';
import { MessageQueues } from './message-queues.js';

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
}

/**
 * One VP's thread in user mode: openvmm's loop around the run ioctl (`UhProcessor::run_vp`), cut in two at the ioctl, since a JavaScript thread cannot
 * block in it. `prepare`, the ioctl, `complete`, and again; `run` does just that.
 */
export class ParavisorVp {
  readonly index: number;
  readonly backing: BackingVp;
  readonly #hcl: HclVp;
  readonly #runPage: RunPage;
  readonly #shared: BackingShared;
  readonly #vmTime: VmTimeAccess;
  readonly #clock: ReferenceClock;
  /** [VTL0, VTL1]. */
  readonly #vtls: readonly LowerVtl[];
  readonly #apicSets: readonly LocalApicSet[];
  readonly #refTime = new U64();
  readonly #hostTime = new U64();
  readonly #osTime = new U64();
  #activeVtl = VTL0;
  #insideRun = false;
  #fault: VpFault | null = null;

  constructor(options: ParavisorVpOptions) {
    const { hclVp, shared, vmTimeOrigin } = options;
    this.index = hclVp.index;
    this.#hcl = hclVp;
    this.#runPage = viewRunPage(hclVp.runPage);
    this.#shared = shared;
    this.#apicSets = options.apicSets;
    this.#vmTime = new VmTimeAccess(hclVp, vmTimeOrigin.vmTime, vmTimeOrigin.osNs);
    this.#clock = new ReferenceClock(hclVp, options.tscFrequency);
    this.#vtls = [this.#createVtl(options, VTL0), this.#createVtl(options, VTL1)];

    const handlers = new VpExitHandlers({
      vtls: this.#vtls,
      cpuid: new GuestCpuid(hclVp, options.hcl.vps.length, options.cpuid),
      chipset: options.chipset,
      hypercalls: { vp: this.index, memory: options.hcl.memory, table: options.hypercalls },
      fatal: (vtl, reason) => this.#recordFault(vtl, reason),
    });
    const apics = this.#vtls.map(({ apic }) => apic);
    const synics = this.#vtls.map(({ synic }) => synic);
    const assistPages = this.#vtls.map(({ assistPage }) => assistPage);
    this.backing = shared.createVp({ hcl: hclVp, vmTime: this.#vmTime, apics, synics, assistPages, handlers });
    const emulator = new MmioEmulator({ backing: this.backing, hclVp, memory: options.hcl.memory, apics, chipset: options.chipset, fatal: handlers.fatal.bind(handlers) });
    handlers.connect(this.backing, emulator);
  }

  /** Why the VP ended, or null while it lives. */
  get fault(): VpFault | null {
    return this.#fault;
  }

  /** The VTL that ran last, or runs next. */
  get activeVtl(): number {
    return this.#activeVtl;
  }

  /** The local APIC of a lower VTL: for devices and debuggers. */
  apic(vtl: number): LocalApic {
    return this.#vtls[vtl]!.apic;
  }

  /** Gives a lower VTL its start state and lets it take part. A VP other than the first waits for its start-up IPI in VTL0. */
  enableVtl(vtl: number, registers: InitialRegisters): void {
    this.backing.initialize(vtl, registers);
    const lowerVtl = this.#vtls[vtl]!;
    lowerVtl.enabled = true;
    lowerVtl.woken = true;
    if (vtl === VTL0 && this.index !== 0) lowerVtl.activity = Activity.WaitForSipi;
  }

  /** A device's interrupt message for this VP alone (`DeliveryMode`, vector): staged in its APIC, and the VP is woken. */
  requestInterrupt(vtl: number, deliveryMode: number, vector: number, levelTriggered: boolean): void {
    this.#apicSets[vtl]!.request(this.#vtls[vtl]!.apic, deliveryMode, vector, levelTriggered, false);
  }

  /** Queues a 256-byte message from the paravisor to a SINT of a lower VTL. */
  postMessage(vtl: number, sint: number, message: Uint8Array): void {
    this.#vtls[vtl]!.messages.enqueue(sint, message);
    this.wake(vtl);
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

  /** Guest translations of `vtl` are forgotten before its next instruction: a thread that is inside the run ioctl is called back for it. */
  flushTlb(vtl: number): void {
    this.backing.flushTlb(vtl);
    if (this.#insideRun) this.#runPage.cancel = 1;
  }

  /** Something waits in this VP's APIC: its next round looks. A thread that is inside the run ioctl is called back. */
  wake(vtl: number): void {
    this.#vtls[vtl]!.woken = true;
    if (this.#insideRun) this.#runPage.cancel = 1;
  }

  /** Goes round until the machine wants the thread back (the ioctl is pending: call again later) or the VP ended. Returns the fault then. */
  run(): VpFault | null {
    for (;;) {
      if (!this.#insideRun && !this.prepare()) return this.#fault;
      const status = this.#hcl.run();
      this.#insideRun = status === RunStatus.Pending;
      if (this.#insideRun) return null;
      this.complete(status);
    }
  }

  /** Everything of a round before the run ioctl. False when the VP ended: do not run it. */
  prepare(): boolean {
    if (this.#fault !== null) return false;
    let rounds = 1;
    for (this.#round(); this.#hasMoreToDo(); this.#round()) {
      if (rounds++ < MAX_ROUNDS) continue;
      // Timers that come due faster than a round must not hold the thread here for ever: it goes round by way of the ioctl.
      this.#runPage.cancel = 1;
      break;
    }
    if (this.#fault !== null) return false;
    this.#armHostTimer();
    this.backing.beforeRun(this.#activeVtl, this.#vtls[this.#activeVtl]!.activity !== Activity.Running);
    return true;
  }

  /** Everything of a round after the run ioctl returned `status`, which is not Pending. */
  complete(status: RunStatus): void {
    if (status === RunStatus.Failed) this.#recordFault(this.#activeVtl, `the run ioctl failed with errno ${this.#hcl.runErrno}`);
    else this.backing.afterRun(this.#activeVtl, status);
  }

  #round(): void {
    this.#runPage.cancel = 0;
    this.#vmTime.cancelTimeout();
    this.#takeWakeReasons();
    this.#processInterrupts();
  }

  /**
   * Whether the thread goes round again before it may block in the ioctl: the VP woke itself in its scan (openvmm's `pre_block`), or the timeout is not
   * in the future, which costs the host nothing: only a time ahead is armed (`poll_timer` in openvmm's `run_vp`).
   */
  #hasMoreToDo(): boolean {
    return this.#vtls[VTL0]!.woken || this.#vtls[VTL1]!.woken || this.#timeoutHasCome();
  }

  /** Leaves the timeout's OS time in `#hostTime`. */
  #timeoutHasCome(): boolean {
    if (!this.#vmTime.hasTimeout) return false;
    this.#vmTime.hostTimeNs(this.#vmTime.timeout, this.#hostTime);
    this.#hcl.osTimeNs(this.#osTime);
    return !this.#osTime.isBelow(this.#hostTime);
  }

  #takeWakeReasons(): void {
    for (const lowerVtl of this.#vtls) {
      lowerVtl.scanIrr = lowerVtl.woken;
      lowerVtl.woken = false;
    }
  }

  /** VTL1 first, so that of two deadlines and two interrupts its own counts first. */
  #processInterrupts(): void {
    this.#shared.guestTimer.clearDeadline(this.backing);
    this.backing.deliverPendingEvents(this.#activeVtl);
    for (let vtl = VTL1; vtl >= VTL0; vtl--) {
      const lowerVtl = this.#vtls[vtl]!;
      if (!lowerVtl.enabled) continue;
      this.#scanSynic(lowerVtl);
      this.#pollApic(lowerVtl);
    }
    // VTL1 pre-empts VTL0; it gives the VP back by itself.
    if (this.#activeVtl === VTL0 && this.#vtls[VTL1]!.enabled && this.backing.isInterruptPending(VTL1, false)) {
      this.backing.switchVtl(VTL0, VTL1);
      this.#activeVtl = VTL1;
    }
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
    const work = apic.scan(this.#vmTime, lowerVtl.scanIrr);
    if (work.init) this.#recordFault(vtl, 'the guest sent this VP an INIT, and resetting a VP is not modelled');
    if (lowerVtl.activity === Activity.WaitForSipi) {
      if (work.sipi >= 0) this.#recordFault(vtl, 'the guest sent this VP a start-up IPI, and starting application processors is not modelled');
      return;
    }
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
    }
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

  #recordFault(vtl: number, reason: string): void {
    this.#fault ??= { vp: this.index, vtl, reason };
  }

  #createVtl(options: ParavisorVpOptions, vtl: number): LowerVtl {
    const { hclVp, observer, tscFrequency } = options;
    const vp = hclVp.index;
    const apic = new LocalApic({ vp, vtl, apicId: vp, set: options.apicSets[vtl]!, vmTime: this.#vmTime, x2apicCapable: true, observer });
    const synic = new Synic({ vp, vtl, memory: options.hcl.memory, interrupts: apic, observer });
    const assistPage = new VpAssistPage(options.hcl.memory);
    const lowerVtl: LowerVtl = {
      vtl,
      apic,
      synic,
      assistPage,
      messages: new MessageQueues(synic),
      msrs: new GuestMsrs({
        vpIndex: vp,
        apic,
        synic,
        clock: this.#clock,
        tscFrequency,
        shared: options.hypervisorRegisters[vtl]!,
        assistPage,
        architectural: new ArchitecturalMsrs(hclVp),
        sintWritten: () => {
          // The host brings interrupts to VTL0 only.
          if (vtl === VTL0) filterProxiedVectors(synic.sints, this.#runPage.proxyIrrBlocked);
        },
        idle: () => {
          lowerVtl.activity = Activity.Idle;
        },
      }),
      enabled: false,
      activity: Activity.Running,
      woken: false,
      scanIrr: false,
    };
    return lowerVtl;
  }
}
