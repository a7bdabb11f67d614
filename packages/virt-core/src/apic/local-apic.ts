/** The local APIC of one VTL of one VP (SDM volume 3, chapter 11), as openvmm's `virt_support_apic` emulates it. */
import {
  ApicRegister,
  DeliveryMode,
  HvMsr,
  Icr,
  Lvt,
  MSR_APIC_BASE,
  Svr,
  U64,
  X2APIC_MSR_BASE,
  X2APIC_MSR_LAST,
  restoreU64,
  saveU64,
} from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/status.js';
import { TimerSource } from '../contract/observer.js';
import type { TimerObserver } from '../contract/observer.js';
import type { VmTimeAccess } from '../time/index.js';
import { ApicBaseRegister } from './base-register.js';
import { sendIpi } from './ipi.js';
import type { IpiTarget, LocalApicSet } from './ipi.js';
import { ApicOffload, PushResult } from './offload.js';
import type { ApicOffloadState, ApicOffloadTarget } from './offload.js';
import type { ApicWork, Cr8Access, LocalApicOptions } from './options.js';
import { ApicRequests, Work } from './requests.js';
import type { ApicRequestsState } from './requests.js';
import { APIC_TIMER_HZ, ApicTimer } from './timer.js';
import type { ApicTimerState } from './timer.js';
import { LocalVectorTable } from './vector-table.js';
import { isValidAccess, pageOffset, readField, writeField } from './xapic-page.js';

const APIC_VERSION = 0x50014;
const SVR_MASK = Svr.VectorMask | Svr.SoftwareEnable;
/** ICR bits kept: vector, delivery mode, destination mode, assert, trigger mode, shorthand. */
const ICR_LOW_MASK = Icr.VectorMask | Icr.DeliveryMask | Icr.LogicalDestination | Icr.Assert | Icr.LevelTriggered | Icr.ShorthandMask;
const ICR_HIGH_MASK_XAPIC = 0xff000000 | 0;
const DFR_FLAT = 0xffffffff | 0;
const DFR_CLUSTER = 0x0fffffff;

export type LocalApicState = {
  readonly base: string;
  readonly icr: string;
  readonly ownCr8: number;
  readonly ldr: number;
  readonly clusterMode: boolean;
  readonly svr: number;
  readonly needsScan: boolean;
  readonly localVectorTable: readonly number[];
  readonly requests: ApicRequestsState;
  readonly timer: ApicTimerState;
  readonly offload: ApicOffloadState;
};

export class LocalApic implements IpiTarget {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  readonly timer = new ApicTimer();
  readonly requests = new ApicRequests();
  /** IRR and ISR as hardware may keep them. */
  readonly offload = new ApicOffload(this.requests);
  readonly #set: LocalApicSet;
  readonly #vmTime: VmTimeAccess;
  readonly #observer: TimerObserver;
  readonly #work: ApicWork = { interrupt: -1, nmi: false, init: false, sipi: -1 };
  readonly #base: ApicBaseRegister;
  readonly #icr = new U64();
  readonly #lvt = new LocalVectorTable();
  readonly #now = new U64();
  #cr8: Cr8Access | null = null;
  #ownCr8 = 0;
  #ldr = 0;
  #clusterMode = false;
  #svr = 0;
  #needsScan = false;

  constructor(options: LocalApicOptions) {
    this.vp = options.vp;
    this.vtl = options.vtl;
    this.apicId = options.apicId;
    this.#set = options.set;
    this.#vmTime = options.vmTime;
    this.#observer = options.observer;
    this.#base = new ApicBaseRegister(options.vp === 0, options.x2apicCapable);
    this.reset();
    this.#set.add(this);
  }

  /** Whether `msr` is handled here: APIC_BASE, the x2APIC range, and the Hyper-V APIC frequency, EOI, ICR and TPR. */
  static owns(msr: number): boolean {
    return (
      (msr >= X2APIC_MSR_BASE && msr <= X2APIC_MSR_LAST) || msr === MSR_APIC_BASE || msr === HvMsr.ApicFrequency || (msr >= HvMsr.Eoi && msr <= HvMsr.Tpr)
    );
  }

  /** Gives the APIC the guest's CR8; until then it keeps a task priority of its own. */
  attachCr8(access: Cr8Access): void {
    this.#cr8 = access;
  }

  /** APIC_BASE enable. */
  get hardwareEnabled(): boolean {
    return this.#base.enabled;
  }

  get x2apicEnabled(): boolean {
    return this.#base.x2apic;
  }

  /** SVR enable. */
  get softwareEnabled(): boolean {
    return (this.#svr & Svr.SoftwareEnable) !== 0;
  }

  /** LDR bits 31:24 (xAPIC). */
  get logicalId(): number {
    return this.#ldr >>> 24;
  }

  /** DFR selects the cluster model (xAPIC). */
  get clusterMode(): boolean {
    return this.#clusterMode;
  }

  /** Requests made by the APIC itself (timer, self-IPI) wait: the next scan looks at them whatever its `scanIrr`. */
  get needsScan(): boolean {
    return this.#needsScan;
  }

  /** Lets hardware keep IRR and ISR from now on. */
  enableOffload(target: ApicOffloadTarget): void {
    this.offload.attach(target);
    this.offload.enable();
  }

  /** Takes IRR and ISR back for good. The scan's record of work then has what the APIC offers. */
  disableOffload(): void {
    this.offload.disable();
    this.#work.interrupt = this.deliverable();
  }

  /** Whether a request may be put into hardware's IRR directly. */
  get canOffloadIrr(): boolean {
    return this.offload.enabled && this.softwareEnabled;
  }

  /** Before a run: hands requests to hardware. */
  pushToOffload(): PushResult {
    return this.offload.push(this.softwareEnabled);
  }

  /** Interrupts that the host asked for, 256 bits in eight banks: edge-triggered requests, taken at once. Dropped while disabled in either way. */
  requestProxied(vectors: Uint32Array): void {
    if (!this.hardwareEnabled || !this.softwareEnabled) return;
    this.requests.addEdges(vectors);
    this.offload.requestsChanged();
  }

  /** Whether `gpa` lies in this APIC's xAPIC page. */
  claimsPage(gpa: number): boolean {
    return this.#base.xapic && Math.floor(gpa / 4096) === this.#base.pageNumber;
  }

  /** Reads the xAPIC page, `size` 1, 2, 4 or 8 bytes. All ones when misaligned or disabled; registers that do not exist read 0. */
  readMmio(gpa: number, size: number, out: U64): void {
    const offset = pageOffset(gpa);
    if (!this.#base.xapic || !isValidAccess(offset)) {
      out.setParts(size >= 4 ? -1 : (1 << (8 * size)) - 1, size === 8 ? -1 : 0);
      return;
    }
    out.setParts(readField(this.#readRegister(offset >>> 4) ?? 0, offset, size), 0);
  }

  /** Writes the xAPIC page; bytes of the register beyond a narrow write become zero. Ignored when misaligned or disabled. */
  writeMmio(gpa: number, size: number, value: ReadonlyU64): void {
    const offset = pageOffset(gpa);
    if (this.#base.xapic && isValidAccess(offset)) this.#writeRegister(offset >>> 4, writeField(value.lo, offset, size));
  }

  /** RDMSR of an MSR that `owns` names. x2APIC registers read 0 outside x2APIC mode. */
  readMsr(msr: number, out: U64): MsrStatus {
    switch (msr) {
      case MSR_APIC_BASE:
        out.set(this.#base.value);
        return MsrStatus.Ok;
      case HvMsr.ApicFrequency:
        out.setParts(APIC_TIMER_HZ, 0);
        return MsrStatus.Ok;
      case HvMsr.Eoi:
        return MsrStatus.GeneralProtection;
      case HvMsr.Icr:
        if (!this.hardwareEnabled) return MsrStatus.GeneralProtection;
        out.set(this.#icr);
        return MsrStatus.Ok;
      case HvMsr.Tpr:
        out.setParts(this.#taskPriority() << 4, 0);
        return MsrStatus.Ok;
    }
    out.setParts(0, 0);
    if (!this.x2apicEnabled) return MsrStatus.Ok;
    if (msr - X2APIC_MSR_BASE === ApicRegister.Icr0) {
      out.set(this.#icr);
      return MsrStatus.Ok;
    }
    const value = this.#readRegister(msr - X2APIC_MSR_BASE);
    if (value === null) return MsrStatus.GeneralProtection;
    out.setParts(value, 0);
    return MsrStatus.Ok;
  }

  /** WRMSR of an MSR that `owns` names. x2APIC writes are ignored outside x2APIC mode. */
  writeMsr(msr: number, value: ReadonlyU64): MsrStatus {
    switch (msr) {
      case MSR_APIC_BASE:
        return this.#writeBase(value);
      case HvMsr.ApicFrequency:
        return MsrStatus.GeneralProtection;
      case HvMsr.Eoi:
        if (!this.hardwareEnabled) return MsrStatus.GeneralProtection;
        this.#endOfInterrupt();
        return MsrStatus.Ok;
      case HvMsr.Icr:
        if (!this.hardwareEnabled) return MsrStatus.GeneralProtection;
        this.#writeIcr(value.lo, value.hi);
        sendIpi(this.#set, this, this.#icr);
        return MsrStatus.Ok;
      case HvMsr.Tpr:
        if (value.hi !== 0 || value.lo >>> 0 > 0xff) return MsrStatus.GeneralProtection;
        this.#setTaskPriority(value.lo);
        return MsrStatus.Ok;
    }
    if (!this.x2apicEnabled) return MsrStatus.Ok;
    if (msr - X2APIC_MSR_BASE === ApicRegister.Icr0) {
      this.#writeIcr(value.lo, value.hi);
      sendIpi(this.#set, this, this.#icr);
      return MsrStatus.Ok;
    }
    return this.#writeRegister(msr - X2APIC_MSR_BASE, value.lo) ? MsrStatus.Ok : MsrStatus.GeneralProtection;
  }

  /** A SynIC's interrupt for this VP and VTL: staged, and the VP woken. */
  requestSynicInterrupt(vector: number, autoEoi: boolean): void {
    this.#set.request(this, DeliveryMode.Fixed, vector, false, autoEoi);
  }

  /** Stages a request without waking anybody. True when it is news for the VP. See `ApicRequests.stage` for what is dropped. */
  stage(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): boolean {
    return this.requests.stage(deliveryMode, vector, levelTriggered, autoEoi, this.softwareEnabled);
  }

  /** A request of the APIC's own, the timer's or an IPI to itself: nobody is woken, the next scan looks. True when it is news. */
  stageForSelf(deliveryMode: number, vector: number, levelTriggered: boolean): boolean {
    const news = this.stage(deliveryMode, vector, levelTriggered, false);
    if (news) this.#needsScan = true;
    return news;
  }

  /**
   * Polls the timer, which sets `vmTime`'s timeout if its own due time is earlier; takes over staged requests when `scanIrr` or `needsScan` says so;
   * and tells what the VP is to take. Called by the VP loop each round. A hardware-disabled APIC does nothing.
   */
  scan(vmTime: VmTimeAccess, scanIrr: boolean): ApicWork {
    const work = this.#work;
    work.interrupt = -1;
    work.nmi = work.init = false;
    work.sipi = -1;
    if (!this.hardwareEnabled) return work;

    const { requests, timer } = this;
    if (timer.hasNext) {
      vmTime.now(this.#now);
      if (timer.nextTime.isBefore(this.#now)) {
        this.#evaluateTimer(this.#now);
        timer.updateNext(this.#now);
      }
      if (timer.hasNext) vmTime.setTimeoutIfBefore(timer.nextTime);
    }
    if (requests.work !== 0) {
      work.nmi = (requests.work & Work.Nmi) !== 0;
      work.init = (requests.work & Work.Init) !== 0;
      if ((requests.work & Work.StartUp) !== 0) work.sipi = requests.sipiVector;
      requests.work = 0;
    }
    if (scanIrr || this.#needsScan) this.#takeStaged();
    work.interrupt = this.offload.enabled ? -1 : this.deliverable();
    return work;
  }

  /** PPR: the class of the task's priority or of what is in service, whichever is higher, in bits 7:4. */
  get processorPriority(): number {
    return Math.max(this.#taskPriority(), this.requests.servicePriority()) << 4;
  }

  /** The vector the APIC offers now, −1 for none. Not for an APIC that is offloaded. */
  deliverable(): number {
    return this.softwareEnabled ? this.requests.deliverable() : -1;
  }

  /** The guest takes the vector the APIC offered: from IRR to ISR, unless it is auto-EOI. Throws when `vector` is not the highest request. */
  acknowledge(vector: number): void {
    this.requests.acknowledge(vector);
  }

  /** Whether the guest may end its interrupt through the VP assist page, without an exit (openvmm `is_lazy_eoi_pending`). */
  get lazyEoiPossible(): boolean {
    return !this.offload.enabled && this.requests.lazyEoiPossible();
  }

  /** The EOI of a guest that made it through the VP assist page. */
  lazyEoi(): void {
    this.requests.endOfInterrupt();
  }

  /** Power-on state. The timer's last evaluation time stays. */
  reset(): void {
    this.offload.pull();
    this.#base.reset();
    this.#resetRegisters();
    // The secure kernel finds its APIC ready: VTL1's starts software-enabled.
    if (this.vtl === 1) this.#svr |= Svr.SoftwareEnable;
    this.requests.work = 0;
    if (this.offload.enabled) this.offload.enable();
  }

  /** INIT: registers as after power-on; mode and base stay, and so do staged requests, a start-up IPI among them (openvmm `x86_init`). */
  init(): void {
    this.offload.pull();
    this.#resetRegisters();
    if (this.offload.enabled) this.offload.enable();
  }

  #resetRegisters(): void {
    this.#ldr = 0;
    this.#clusterMode = false;
    this.#svr = Svr.VectorMask;
    this.#icr.setParts(0, 0);
    this.requests.reset();
    this.offload.reset();
    this.#needsScan = false;
    this.#lvt.reset();
    this.timer.reset();
  }

  #writeBase(value: ReadonlyU64): MsrStatus {
    this.offload.pull();
    const wasEnabled = this.#base.enabled;
    if (!this.#base.write(value)) return MsrStatus.GeneralProtection;
    if (wasEnabled && !this.#base.enabled) this.#resetRegisters();
    return MsrStatus.Ok;
  }

  /** An int32, or null when there is no such register to read. */
  #readRegister(register: number): number | null {
    if (register >= ApicRegister.Isr0 && register < ApicRegister.Tmr0) {
      this.offload.pull();
      return this.requests.isr.banks[register - ApicRegister.Isr0]!;
    }
    if (register >= ApicRegister.Tmr0 && register < ApicRegister.Irr0) {
      this.#takeStaged();
      return this.requests.tmr.banks[register - ApicRegister.Tmr0]!;
    }
    if (register >= ApicRegister.Irr0 && register < ApicRegister.Esr) {
      this.offload.pull();
      this.#takeStaged();
      return this.requests.irr.banks[register - ApicRegister.Irr0]!;
    }
    const { x2apicEnabled } = this;
    switch (register) {
      case ApicRegister.Id:
        return x2apicEnabled ? this.apicId : this.apicId << 24;
      case ApicRegister.Version:
        return APIC_VERSION;
      case ApicRegister.Tpr:
        return this.#taskPriority() << 4;
      case ApicRegister.Ppr:
        this.offload.pull();
        return this.processorPriority;
      case ApicRegister.Ldr:
        return x2apicEnabled ? ((this.apicId >>> 4) << 16) | (1 << (this.apicId & 15)) : this.#ldr;
      case ApicRegister.Dfr:
        return x2apicEnabled ? null : this.#clusterMode ? DFR_CLUSTER : DFR_FLAT;
      case ApicRegister.Svr:
        return this.#svr;
      case ApicRegister.Esr:
        // Nothing here detects an error.
        return 0;
      case ApicRegister.Icr0:
        return x2apicEnabled ? null : this.#icr.lo;
      case ApicRegister.Icr1:
        return x2apicEnabled ? null : this.#icr.hi;
      case ApicRegister.TimerInitialCount:
        return this.timer.initialCount;
      case ApicRegister.TimerCurrentCount:
        this.#vmTime.now(this.#now);
        this.#evaluateTimer(this.#now);
        return this.timer.currentCount;
      case ApicRegister.TimerDivide:
        return this.timer.divide;
      default:
        return this.#lvt.read(register);
    }
  }

  /** False when the register cannot be written, or not with this value: #GP in x2APIC mode, nothing in xAPIC mode. */
  #writeRegister(register: number, value: number): boolean {
    const { x2apicEnabled } = this;
    switch (register) {
      case ApicRegister.Tpr:
        this.#setTaskPriority(value);
        return true;
      case ApicRegister.Eoi:
        if (x2apicEnabled && value !== 0) return false;
        this.#endOfInterrupt();
        return true;
      case ApicRegister.Ldr:
        if (x2apicEnabled) return false;
        this.#ldr = value & 0xff000000;
        return true;
      case ApicRegister.Dfr:
        if (x2apicEnabled) return false;
        // Bits 27:0 read as ones. Only the models 0 and 15 exist; the reference stops at others, here they are flat.
        this.#clusterMode = (value | DFR_CLUSTER) === DFR_CLUSTER;
        return true;
      case ApicRegister.Svr:
        // Without the enable state hardware must not have requests; what was staged under the old one is kept.
        this.offload.pull();
        this.#takeStaged();
        this.#svr = value & SVR_MASK;
        if (!this.softwareEnabled) this.#lvt.maskAll();
        return true;
      case ApicRegister.Esr:
        return !x2apicEnabled || value === 0;
      case ApicRegister.Icr0:
        if (x2apicEnabled) return false;
        this.#writeIcr(value, this.#icr.hi);
        sendIpi(this.#set, this, this.#icr);
        return true;
      case ApicRegister.Icr1:
        if (x2apicEnabled) return false;
        this.#writeIcr(this.#icr.lo, value);
        return true;
      case ApicRegister.TimerInitialCount:
        this.#vmTime.now(this.#now);
        this.timer.start(value, this.#now);
        this.#observeArmed();
        return true;
      case ApicRegister.TimerDivide:
        this.#vmTime.now(this.#now);
        this.#evaluateTimer(this.#now);
        this.timer.setDivide(value, this.#now);
        this.#observeArmed();
        return true;
      case ApicRegister.SelfIpi:
        if (!x2apicEnabled) return false;
        this.stageForSelf(DeliveryMode.Fixed, value & 0xff, false);
        return true;
      default:
        return this.#lvt.write(register, value, this.softwareEnabled);
    }
  }

  /** All of it but a task priority that is the guest's CR8, which the backing keeps. */
  save(): LocalApicState {
    return {
      base: this.#base.save(),
      icr: saveU64(this.#icr),
      ownCr8: this.#ownCr8,
      ldr: this.#ldr,
      clusterMode: this.#clusterMode,
      svr: this.#svr,
      needsScan: this.#needsScan,
      localVectorTable: this.#lvt.save(),
      requests: this.requests.save(),
      timer: this.timer.save(),
      offload: this.offload.save(),
    };
  }

  restore(state: LocalApicState): void {
    this.#base.restore(state.base);
    restoreU64(this.#icr, state.icr);
    this.#ownCr8 = state.ownCr8;
    this.#ldr = state.ldr;
    this.#clusterMode = state.clusterMode;
    this.#svr = state.svr;
    this.#needsScan = state.needsScan;
    this.#lvt.restore(state.localVectorTable);
    this.requests.restore(state.requests);
    this.timer.restore(state.timer);
    this.offload.restore(state.offload);
  }

  #taskPriority(): number {
    return this.#cr8 === null ? this.#ownCr8 : this.#cr8.readCr8();
  }

  /** CR8 keeps bits 7:4 of TPR; the sub-class is lost, as in the reference. */
  #setTaskPriority(tpr: number): void {
    const cr8 = (tpr >>> 4) & 0xf;
    if (this.#cr8 === null) this.#ownCr8 = cr8;
    else this.#cr8.writeCr8(cr8);
  }

  #writeIcr(low: number, high: number): void {
    this.#icr.setParts(low & ICR_LOW_MASK, this.x2apicEnabled ? high : high & ICR_HIGH_MASK_XAPIC);
  }

  #endOfInterrupt(): void {
    this.offload.pull();
    this.requests.endOfInterrupt();
  }

  /** Looks at staged requests. */
  #takeStaged(): void {
    if (this.requests.take(this.softwareEnabled)) this.offload.requestsChanged();
    this.#needsScan = false;
  }

  /** Brings the timer up to `now`; an expiry requests the LVT's vector unless it is masked. */
  #evaluateTimer(now: ReadonlyU64): void {
    const lvt = this.#lvt.timer;
    if (!this.timer.evaluate(now, (lvt & Lvt.TimerModeMask) === Lvt.TimerPeriodic)) return;
    if ((lvt & Lvt.Masked) !== 0) return;
    if (this.stageForSelf(DeliveryMode.Fixed, lvt & Lvt.VectorMask, false)) this.#observer.delivered(this.vp, this.vtl, TimerSource.Apic, this.timer.expiredAt, now);
  }

  #observeArmed(): void {
    if (this.timer.hasNext) this.#observer.armed(this.vp, this.vtl, TimerSource.Apic, this.timer.nextTime);
  }
}
