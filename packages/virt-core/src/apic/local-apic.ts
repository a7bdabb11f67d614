/** The local APIC of one VTL of one VP (SDM volume 3, chapter 11), as openvmm's `virt_support_apic` emulates it. */
import { ApicRegister, DeliveryMode, HvMsr, Lvt, MSR_APIC_BASE, U64, X2APIC_MSR_BASE, X2APIC_MSR_LAST } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/status.js';
import type { VmTimeAccess } from '../time/index.js';
import type { IpiTarget, LocalApicSet } from './ipi.js';
import type { ApicOffload, ApicOffloadTarget, PushResult } from './offload.js';
import type { ApicWork, Cr8Access, LocalApicOptions } from './options.js';
import { ApicRegisters } from './registers.js';
import type { LocalApicState } from './registers.js';
import { Work } from './requests.js';
import type { ApicRequests } from './requests.js';
import { APIC_TIMER_HZ } from './timer.js';
import type { ApicTimer } from './timer.js';
import { isValidAccess, pageOffset, readField, writeField } from './xapic-page.js';

const { Ok, GeneralProtection } = MsrStatus;

/** The guest's doors to the registers (its page, its MSRs), and what the VP loop, the SynIC and a backing ask of an APIC. */
export class LocalApic implements IpiTarget {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  readonly #registers: ApicRegisters;
  readonly #set: LocalApicSet;
  readonly #work: ApicWork = { interrupt: -1, nmi: false, init: false, sipi: -1 };
  readonly #now = new U64();

  constructor(options: LocalApicOptions) {
    this.vp = options.vp;
    this.vtl = options.vtl;
    this.apicId = options.apicId;
    this.#set = options.set;
    this.#registers = new ApicRegisters(options);
    this.#set.add(this);
  }

  /** Whether `msr` is handled here: APIC_BASE, the x2APIC range, and the Hyper-V APIC frequency, EOI, ICR and TPR. */
  static owns(msr: number): boolean {
    return (
      (msr >= X2APIC_MSR_BASE && msr <= X2APIC_MSR_LAST) || msr === MSR_APIC_BASE || msr === HvMsr.ApicFrequency || (msr >= HvMsr.Eoi && msr <= HvMsr.Tpr)
    );
  }

  get timer(): ApicTimer {
    return this.#registers.timer;
  }

  get requests(): ApicRequests {
    return this.#registers.requests;
  }

  /** IRR and ISR as hardware may keep them. */
  get offload(): ApicOffload {
    return this.#registers.offload;
  }

  /** Gives the APIC the guest's CR8; until then it keeps a task priority of its own. */
  attachCr8(access: Cr8Access): void {
    this.#registers.attachCr8(access);
  }

  get hardwareEnabled(): boolean {
    return this.#registers.hardwareEnabled;
  }

  get x2apicEnabled(): boolean {
    return this.#registers.x2apicEnabled;
  }

  get softwareEnabled(): boolean {
    return this.#registers.softwareEnabled;
  }

  get logicalId(): number {
    return this.#registers.logicalId;
  }

  get clusterMode(): boolean {
    return this.#registers.clusterMode;
  }

  get needsScan(): boolean {
    return this.#registers.needsScan;
  }

  /** PPR: the class of the task's priority or of what is in service, whichever is higher, in bits 7:4. */
  get processorPriority(): number {
    return this.#registers.processorPriority;
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
    return this.#registers.base.xapic && Math.floor(gpa / 4096) === this.#registers.base.pageNumber;
  }

  /** Reads the xAPIC page, `size` 1, 2, 4 or 8 bytes. All ones when misaligned or disabled; registers that do not exist read 0. */
  readMmio(gpa: number, size: number, out: U64): void {
    const offset = pageOffset(gpa);
    if (!this.#registers.base.xapic || !isValidAccess(offset)) {
      out.setParts(size >= 4 ? -1 : (1 << (8 * size)) - 1, size === 8 ? -1 : 0);
      return;
    }
    out.setParts(readField(this.#registers.read(offset >>> 4) ?? 0, offset, size), 0);
  }

  /** Writes the xAPIC page; bytes of the register beyond a narrow write become zero. Ignored when misaligned or disabled. */
  writeMmio(gpa: number, size: number, value: ReadonlyU64): void {
    const offset = pageOffset(gpa);
    if (this.#registers.base.xapic && isValidAccess(offset)) this.#registers.write(offset >>> 4, writeField(value.lo, offset, size));
  }

  /** RDMSR of an MSR that `owns` names. x2APIC registers read 0 outside x2APIC mode. */
  readMsr(msr: number, out: U64): MsrStatus {
    const registers = this.#registers;
    switch (msr) {
      case MSR_APIC_BASE:
        out.set(registers.base.value);
        return Ok;
      case HvMsr.ApicFrequency:
        out.setParts(APIC_TIMER_HZ, 0);
        return Ok;
      case HvMsr.Eoi:
        return GeneralProtection;
      case HvMsr.Icr:
        if (!this.hardwareEnabled) return GeneralProtection;
        out.set(registers.icr);
        return Ok;
      case HvMsr.Tpr:
        out.setParts(registers.taskPriority << 4, 0);
        return Ok;
    }
    out.setParts(0, 0);
    if (!this.x2apicEnabled) return Ok;
    if (msr - X2APIC_MSR_BASE === ApicRegister.Icr0) {
      out.set(registers.icr);
      return Ok;
    }
    const value = registers.read(msr - X2APIC_MSR_BASE);
    if (value === null) return GeneralProtection;
    out.setParts(value, 0);
    return Ok;
  }

  /** WRMSR of an MSR that `owns` names. x2APIC writes are ignored outside x2APIC mode. */
  writeMsr(msr: number, value: ReadonlyU64): MsrStatus {
    const registers = this.#registers;
    switch (msr) {
      case MSR_APIC_BASE:
        return registers.writeBase(value) ? Ok : GeneralProtection;
      case HvMsr.ApicFrequency:
        return GeneralProtection;
      case HvMsr.Eoi:
        if (!this.hardwareEnabled) return GeneralProtection;
        registers.endOfInterrupt();
        return Ok;
      case HvMsr.Icr:
        if (!this.hardwareEnabled) return GeneralProtection;
        registers.sendIcr(value.lo, value.hi);
        return Ok;
      case HvMsr.Tpr:
        if (value.hi !== 0 || value.lo >>> 0 > 0xff) return GeneralProtection;
        registers.setTaskPriority(value.lo);
        return Ok;
    }
    if (!this.x2apicEnabled) return Ok;
    if (msr - X2APIC_MSR_BASE === ApicRegister.Icr0) {
      registers.sendIcr(value.lo, value.hi);
      return Ok;
    }
    return registers.write(msr - X2APIC_MSR_BASE, value.lo) ? Ok : GeneralProtection;
  }

  /** A pulse at LINT pin 0 or 1 asks for what its entry says, unless that is masked, or level-triggered (openvmm `LocalApicSet::lint`). */
  pulseLint(pin: 0 | 1): void {
    const entry = this.#registers.lintEntry(pin);
    if ((entry & (Lvt.Masked | Lvt.LevelTriggered)) !== 0) return;
    this.#set.request(this, (entry & Lvt.DeliveryMask) >>> Lvt.DeliveryShift, entry & Lvt.VectorMask, false, false);
  }

  /** A SynIC's interrupt for this VP and VTL: staged, and the VP woken. */
  requestSynicInterrupt(vector: number, autoEoi: boolean): void {
    this.#set.request(this, DeliveryMode.Fixed, vector, false, autoEoi);
  }

  /** Stages a request without waking anybody. True when it is news for the VP. See `ApicRequests.stage` for what is dropped. */
  stage(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): boolean {
    return this.#registers.stage(deliveryMode, vector, levelTriggered, autoEoi);
  }

  /** A request of the APIC's own, the timer's or an IPI to itself: nobody is woken, the next scan looks. True when it is news. */
  stageForSelf(deliveryMode: number, vector: number, levelTriggered: boolean): boolean {
    return this.#registers.stageForSelf(deliveryMode, vector, levelTriggered);
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

    const registers = this.#registers;
    const { requests, timer } = registers;
    if (timer.hasNext) {
      vmTime.now(this.#now);
      if (timer.nextTime.isBefore(this.#now)) {
        registers.evaluateTimer(this.#now);
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
    if (scanIrr || registers.needsScan) registers.takeStaged();
    work.interrupt = this.offload.enabled ? -1 : this.deliverable();
    return work;
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

  /** Hardware ended a level-triggered interrupt of an offloaded APIC. False when nobody listens for it. */
  levelEnded(vector: number): boolean {
    const { levelEoi } = this.#set;
    levelEoi?.(vector);
    return levelEoi !== undefined;
  }

  /** Power-on state. The timer's last evaluation time stays. */
  reset(): void {
    this.#registers.powerOn();
  }

  /** INIT: registers as after power-on; mode and base stay, and so do staged requests, a start-up IPI among them (openvmm `x86_init`). */
  init(): void {
    this.#registers.init();
  }

  /** All of it but a task priority that is the guest's CR8, which the backing keeps. */
  save(): LocalApicState {
    return this.#registers.save();
  }

  restore(state: LocalApicState): void {
    this.#registers.restore(state);
  }
}
