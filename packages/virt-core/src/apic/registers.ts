/**
 * The registers of a local APIC by number, as both of its doors reach them: the xAPIC page and the x2APIC MSRs (SDM volume 3, 11.4.1 and 11.12.1). What a
 * register does beyond storing its value begins here: an ICR write sends, a count write starts the timer, an EOI ends what is in service.
 */
import { ApicRegister, DeliveryMode, Icr, Lvt, Svr, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { TimerSource } from '../contract/observer.js';
import { ApicBaseRegister } from './base-register.js';
import { sendIpi } from './ipi.js';
import type { IpiTarget } from './ipi.js';
import { ApicOffload } from './offload.js';
import type { ApicOffloadState } from './offload.js';
import type { Cr8Access, LocalApicOptions } from './options.js';
import { ApicRequests } from './requests.js';
import type { ApicRequestsState } from './requests.js';
import { ApicTimer } from './timer.js';
import type { ApicTimerState } from './timer.js';
import { LocalVectorTable } from './vector-table.js';

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
  readonly offload: ApicOffloadState;
  readonly timer: ApicTimerState;
};

/** Registers and the parts they command. As a target of interrupts it is what other APICs see of this one. */
export class ApicRegisters implements IpiTarget {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  readonly base: ApicBaseRegister;
  readonly timer = new ApicTimer();
  readonly requests = new ApicRequests();
  /** IRR and ISR as hardware may keep them. */
  readonly offload = new ApicOffload(this.requests);
  /** Requests made by the APIC itself (timer, self-IPI) wait: the next scan looks at them whatever its `scanIrr`. */
  needsScan = false;
  readonly #set: LocalApicOptions['set'];
  readonly #vmTime: LocalApicOptions['vmTime'];
  readonly #observer: LocalApicOptions['observer'];
  readonly #icr = new U64();
  readonly #lvt = new LocalVectorTable();
  readonly #now = new U64();
  #cr8: Cr8Access | null = null;
  #ownCr8 = 0;
  #ldr = 0;
  #clusterMode = false;
  #svr = 0;

  constructor(options: LocalApicOptions) {
    this.vp = options.vp;
    this.vtl = options.vtl;
    this.apicId = options.apicId;
    this.#set = options.set;
    this.#vmTime = options.vmTime;
    this.#observer = options.observer;
    this.base = new ApicBaseRegister(options.vp === 0, options.x2apicCapable);
    this.powerOn();
  }

  /** Gives the APIC the guest's CR8; until then it keeps a task priority of its own. */
  attachCr8(access: Cr8Access): void {
    this.#cr8 = access;
  }

  /** APIC_BASE enable. */
  get hardwareEnabled(): boolean {
    return this.base.enabled;
  }

  get x2apicEnabled(): boolean {
    return this.base.x2apic;
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

  get icr(): ReadonlyU64 {
    return this.#icr;
  }

  /** CR8: the task priority's class. */
  get taskPriority(): number {
    return this.#cr8 === null ? this.#ownCr8 : this.#cr8.readCr8();
  }

  /** TPR of 8 bits. CR8 keeps bits 7:4; the sub-class is lost, as in the reference. */
  setTaskPriority(tpr: number): void {
    const cr8 = (tpr >>> 4) & 0xf;
    if (this.#cr8 === null) this.#ownCr8 = cr8;
    else this.#cr8.writeCr8(cr8);
  }

  /** PPR: the class of the task's priority or of what is in service, whichever is higher, in bits 7:4. */
  get processorPriority(): number {
    return Math.max(this.taskPriority, this.requests.servicePriority()) << 4;
  }

  stage(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): boolean {
    return this.requests.stage(deliveryMode, vector, levelTriggered, autoEoi, this.softwareEnabled);
  }

  stageForSelf(deliveryMode: number, vector: number, levelTriggered: boolean): boolean {
    const news = this.stage(deliveryMode, vector, levelTriggered, false);
    if (news) this.needsScan = true;
    return news;
  }

  /** An int32, or null when there is no such register to read. */
  read(register: number): number | null {
    if (register >= ApicRegister.Isr0 && register < ApicRegister.Tmr0) {
      this.offload.pull();
      return this.requests.isr.bank(register - ApicRegister.Isr0);
    }
    if (register >= ApicRegister.Tmr0 && register < ApicRegister.Irr0) {
      this.takeStaged();
      return this.requests.tmr.bank(register - ApicRegister.Tmr0);
    }
    if (register >= ApicRegister.Irr0 && register < ApicRegister.Esr) {
      this.offload.pull();
      this.takeStaged();
      return this.requests.irr.bank(register - ApicRegister.Irr0);
    }
    const { x2apicEnabled } = this;
    switch (register) {
      case ApicRegister.Id:
        return x2apicEnabled ? this.apicId : this.apicId << 24;
      case ApicRegister.Version:
        return APIC_VERSION;
      case ApicRegister.Tpr:
        return this.taskPriority << 4;
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
        this.evaluateTimer(this.#now);
        return this.timer.currentCount;
      case ApicRegister.TimerDivide:
        return this.timer.divide;
      default:
        return this.#lvt.read(register);
    }
  }

  /** False when the register cannot be written, or not with this value: #GP in x2APIC mode, nothing in xAPIC mode. */
  write(register: number, value: number): boolean {
    const { x2apicEnabled } = this;
    switch (register) {
      case ApicRegister.Tpr:
        this.setTaskPriority(value);
        return true;
      case ApicRegister.Eoi:
        if (x2apicEnabled && value !== 0) return false;
        this.endOfInterrupt();
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
        this.takeStaged();
        this.#svr = value & SVR_MASK;
        if (!this.softwareEnabled) this.#lvt.maskAll();
        return true;
      case ApicRegister.Esr:
        return !x2apicEnabled || value === 0;
      case ApicRegister.Icr0:
        if (x2apicEnabled) return false;
        this.sendIcr(value, this.#icr.hi);
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
        this.evaluateTimer(this.#now);
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

  /** Stores ICR, of whose upper half an xAPIC keeps eight bits, and sends what it says. */
  sendIcr(low: number, high: number): void {
    this.#writeIcr(low, high);
    sendIpi(this.#set, this, this.#icr);
  }

  endOfInterrupt(): void {
    this.offload.pull();
    const vector = this.requests.endOfInterrupt();
    if (vector >= 0 && this.requests.tmr.has(vector)) this.#set.levelEoi?.(vector);
  }

  /** Entry of LINT pin `pin` in the local vector table. */
  lintEntry(pin: 0 | 1): number {
    return this.#lvt.read(ApicRegister.LvtLint0 + pin)!;
  }

  /** Looks at staged requests. */
  takeStaged(): void {
    if (this.requests.take(this.softwareEnabled)) this.offload.requestsChanged();
    this.needsScan = false;
  }

  /** Brings the timer up to `now`; an expiry requests the LVT's vector unless it is masked. */
  evaluateTimer(now: ReadonlyU64): void {
    const lvt = this.#lvt.timer;
    if (!this.timer.evaluate(now, (lvt & Lvt.TimerModeMask) === Lvt.TimerPeriodic)) return;
    if ((lvt & Lvt.Masked) !== 0) return;
    if (this.stageForSelf(DeliveryMode.Fixed, lvt & Lvt.VectorMask, false)) this.#observer.delivered(this.vp, this.vtl, TimerSource.Apic, this.timer.expiredAt, now);
  }

  /** WRMSR of APIC_BASE; false for #GP. Disabling resets the other registers. */
  writeBase(value: ReadonlyU64): boolean {
    this.offload.pull();
    const wasEnabled = this.base.enabled;
    if (!this.base.write(value)) return false;
    if (wasEnabled && !this.base.enabled) this.#reset();
    return true;
  }

  /** Power-on state. The timer's last evaluation time stays. */
  powerOn(): void {
    this.offload.pull();
    this.base.reset();
    this.#reset();
    // The secure kernel finds its APIC ready: VTL1's starts software-enabled.
    if (this.vtl === 1) this.#svr |= Svr.SoftwareEnable;
    this.requests.work = 0;
    if (this.offload.enabled) this.offload.enable();
  }

  /** INIT: mode and base stay, and so do staged requests, a start-up IPI among them (openvmm `x86_init`). */
  init(): void {
    this.offload.pull();
    this.#reset();
    if (this.offload.enabled) this.offload.enable();
  }

  save(): LocalApicState {
    return {
      base: this.base.save(),
      icr: saveU64(this.#icr),
      ownCr8: this.#ownCr8,
      ldr: this.#ldr,
      clusterMode: this.#clusterMode,
      svr: this.#svr,
      needsScan: this.needsScan,
      localVectorTable: this.#lvt.save(),
      requests: this.requests.save(),
      offload: this.offload.save(),
      timer: this.timer.save(),
    };
  }

  restore(state: LocalApicState): void {
    this.base.restore(state.base);
    restoreU64(this.#icr, state.icr);
    this.#ownCr8 = state.ownCr8;
    this.#ldr = state.ldr;
    this.#clusterMode = state.clusterMode;
    this.#svr = state.svr;
    this.needsScan = state.needsScan;
    this.#lvt.restore(state.localVectorTable);
    this.requests.restore(state.requests);
    this.offload.restore(state.offload);
    this.timer.restore(state.timer);
  }

  #reset(): void {
    this.#ldr = 0;
    this.#clusterMode = false;
    this.#svr = Svr.VectorMask;
    this.#icr.setParts(0, 0);
    this.requests.reset();
    this.offload.reset();
    this.needsScan = false;
    this.#lvt.reset();
    this.timer.reset();
  }

  #writeIcr(low: number, high: number): void {
    this.#icr.setParts(low & ICR_LOW_MASK, this.x2apicEnabled ? high : high & ICR_HIGH_MASK_XAPIC);
  }

  #observeArmed(): void {
    if (this.timer.hasNext) this.#observer.armed(this.vp, this.vtl, TimerSource.Apic, this.timer.nextTime);
  }
}
