/** The local APIC of one VTL of one VP (SDM volume 3, chapter 11), as openvmm's `virt_support_apic` emulates it. */
import {
  ApicBase,
  ApicRegister,
  APIC_DEFAULT_BASE,
  DeliveryMode,
  HvMsr,
  Icr,
  Lvt,
  MSR_APIC_BASE,
  Shorthand,
  Svr,
  U64,
  X2APIC_MSR_BASE,
  X2APIC_MSR_LAST,
} from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/backing.js';
import { TimerSource } from '../contract/observer.js';
import type { TimerObserver } from '../contract/observer.js';
import type { VmTimeAccess } from '../time/index.js';
import { Destination } from './ipi.js';
import type { LocalApicSet } from './ipi.js';
import { APIC_TIMER_HZ, ApicTimer } from './timer.js';
import { VectorSet } from './vector-set.js';

/** Where the task priority lives: in the guest processor, so behind the backing. */
export interface Cr8Access {
  readCr8(): number;
  writeCr8(value: number): void;
}

/** What a scan found. One record an APIC, reused: read it before the next scan. */
export interface ApicWork {
  /** Highest deliverable vector, −1 for none. The guest's CR8 is not considered: the backing does. */
  interrupt: number;
  nmi: boolean;
  /** Reset the processor's registers, this APIC included. */
  init: boolean;
  /** SIPI vector, −1 for none. */
  sipi: number;
}

export interface LocalApicOptions {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  /** The APICs of this VTL; this one adds itself. */
  readonly set: LocalApicSet;
  /** The VP's VmTime. Its timeout is set for the APIC timer at each scan. */
  readonly vmTime: VmTimeAccess;
  readonly x2apicCapable: boolean;
  /** Hears of the timer, source `Apic`. The APIC timer runs on VmTime, so times are VmTime: the unit of reference time, another origin. */
  readonly observer: TimerObserver;
}

const APIC_VERSION = 0x50014;
const SVR_MASK = Svr.VectorMask | Svr.SoftwareEnable;
/** ICR bits kept: vector, delivery mode, destination mode, assert, trigger mode, shorthand. */
const ICR_LOW_MASK = Icr.VectorMask | Icr.DeliveryMask | Icr.LogicalDestination | Icr.Assert | Icr.LevelTriggered | Icr.ShorthandMask;
const ICR_HIGH_MASK_XAPIC = 0xff000000 | 0;
/** APIC_BASE bits that must be zero: 7:0 and 9, and 63:36. */
const APIC_BASE_RESERVED_LOW = 0x2ff;
const APIC_BASE_RESERVED_HIGH = ~0xf;
const APIC_BASE_PAGE_LOW = 0xfffff000 | 0;
const FIRST_LEGAL_VECTOR = 16;
const DFR_FLAT = 0xffffffff | 0;
const DFR_CLUSTER = 0x0fffffff;

/** The local vector table: register, and the bits a write keeps. The timer has no TSC-deadline mode. */
const lvtRegisters = [
  { register: ApicRegister.LvtTimer, mask: 0x300ff },
  { register: ApicRegister.LvtThermal, mask: 0x107ff },
  { register: ApicRegister.LvtPmc, mask: 0x107ff },
  { register: ApicRegister.LvtLint0, mask: 0x1a7ff },
  { register: ApicRegister.LvtLint1, mask: 0x1a7ff },
  { register: ApicRegister.LvtError, mask: 0x100ff },
] as const;
const LVT_TIMER = 0;

/** Work flags beside the IRR. */
const Work = { Init: 1, Sipi: 2, Nmi: 4 } as const;

/** Place of a register in the local vector table, −1 when it is none. */
function lvtIndex(register: number): number {
  for (let i = 0; i < lvtRegisters.length; i++) if (lvtRegisters[i]!.register === register) return i;
  return -1;
}

/** Aligned accesses, and the top byte of ID, LDR and DFR, which some guests touch alone. */
function isValidAccess(offset: number): boolean {
  if ((offset & 0xf) === 0) return true;
  const register = offset >>> 4;
  return (offset & 0xf) === 3 && (register === ApicRegister.Id || register === ApicRegister.Ldr || register === ApicRegister.Dfr);
}

export class LocalApic {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  readonly timer = new ApicTimer();
  /** Requests taken over by this VP. */
  readonly irr = new VectorSet();
  /** In service: at most one vector a priority class. */
  readonly isr = new VectorSet();
  /** Requests staged by anybody, not yet looked at. */
  readonly staged = new VectorSet();
  readonly #tmr = new VectorSet();
  readonly #stagedTmr = new VectorSet();
  readonly #autoEoi = new VectorSet();
  readonly #stagedAutoEoi = new VectorSet();
  readonly #set: LocalApicSet;
  readonly #vmTime: VmTimeAccess;
  readonly #x2apicCapable: boolean;
  readonly #observer: TimerObserver;
  readonly #work: ApicWork = { interrupt: -1, nmi: false, init: false, sipi: -1 };
  readonly #base = new U64();
  readonly #icr = new U64();
  readonly #lvt = new Int32Array(lvtRegisters.length);
  readonly #now = new U64();
  #cr8: Cr8Access | null = null;
  #ownCr8 = 0;
  #ldr = 0;
  #clusterMode = false;
  #svr = 0;
  #workFlags = 0;
  #sipiVector = 0;
  #needsScan = false;
  #activeAutoEoi = false;

  constructor(options: LocalApicOptions) {
    this.vp = options.vp;
    this.vtl = options.vtl;
    this.apicId = options.apicId;
    this.#set = options.set;
    this.#vmTime = options.vmTime;
    this.#x2apicCapable = options.x2apicCapable;
    this.#observer = options.observer;
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
    return (this.#base.lo & ApicBase.Enable) !== 0;
  }

  get x2apicEnabled(): boolean {
    return (this.#base.lo & ApicBase.X2apic) !== 0;
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

  /** Whether hardware could keep IRR and ISR: not while software-disabled, nor while an auto-EOI request is about. */
  get offloadAllowed(): boolean {
    return this.softwareEnabled && !this.#activeAutoEoi;
  }

  /** Whether `gpa` lies in this APIC's xAPIC page. */
  claimsPage(gpa: number): boolean {
    return this.hardwareEnabled && !this.x2apicEnabled && Math.floor(gpa / 4096) === this.#basePage();
  }

  /** Reads the xAPIC page, `size` 1, 2, 4 or 8 bytes. All ones when misaligned or disabled. */
  readMmio(gpa: number, size: number, out: U64): void {
    const offset = gpa % 4096;
    if (!this.hardwareEnabled || this.x2apicEnabled || !isValidAccess(offset)) {
      out.setParts(size >= 4 ? -1 : (1 << (8 * size)) - 1, size === 8 ? -1 : 0);
      return;
    }
    if (!this.#readRegister(offset >>> 4, out)) out.setParts(0, 0);
    const byte = offset & 3;
    const bytes = Math.min(size, 4 - byte);
    out.setParts((out.lo >>> (8 * byte)) & (bytes === 4 ? -1 : (1 << (8 * bytes)) - 1), 0);
  }

  /** Writes the xAPIC page; bytes of the register beyond a narrow write become zero. Ignored when misaligned or disabled. */
  writeMmio(gpa: number, size: number, value: ReadonlyU64): void {
    const offset = gpa % 4096;
    if (!this.hardwareEnabled || this.x2apicEnabled || !isValidAccess(offset)) return;
    const byte = offset & 3;
    const bytes = Math.min(size, 4 - byte);
    this.#writeRegister(offset >>> 4, (value.lo & (bytes === 4 ? -1 : (1 << (8 * bytes)) - 1)) << (8 * byte));
  }

  /** RDMSR of an MSR that `owns` names. x2APIC registers read 0 outside x2APIC mode. */
  readMsr(msr: number, out: U64): MsrStatus {
    switch (msr) {
      case MSR_APIC_BASE:
        out.set(this.#base);
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
    return this.#readRegister(msr - X2APIC_MSR_BASE, out) ? MsrStatus.Ok : MsrStatus.GeneralProtection;
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
        this.#sendIpi();
        return MsrStatus.Ok;
      case HvMsr.Tpr:
        if (value.hi !== 0 || value.lo >>> 0 > 0xff) return MsrStatus.GeneralProtection;
        this.#setTaskPriority(value.lo);
        return MsrStatus.Ok;
    }
    if (!this.x2apicEnabled) return MsrStatus.Ok;
    if (msr - X2APIC_MSR_BASE === ApicRegister.Icr0) {
      this.#writeIcr(value.lo, value.hi);
      this.#sendIpi();
      return MsrStatus.Ok;
    }
    return this.#writeRegister(msr - X2APIC_MSR_BASE, value.lo) ? MsrStatus.Ok : MsrStatus.GeneralProtection;
  }

  /** A SynIC's interrupt for this VP and VTL: staged, and the VP woken. */
  requestSynicInterrupt(vector: number, autoEoi: boolean): void {
    this.#set.request(this, DeliveryMode.Fixed, vector, false, autoEoi);
  }

  /**
   * Stages a request without waking anybody. True when it is news for the VP. Fixed requests are dropped while software-disabled, and for
   * vectors below 16.
   */
  stage(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): boolean {
    switch (deliveryMode) {
      case DeliveryMode.Fixed:
      case DeliveryMode.LowestPriority: {
        if (!this.softwareEnabled || vector < FIRST_LEGAL_VECTOR) return false;
        if (levelTriggered) this.#stagedTmr.add(vector);
        else this.#stagedTmr.remove(vector);
        if (autoEoi) this.#stagedAutoEoi.add(vector);
        else this.#stagedAutoEoi.remove(vector);
        const news = !this.staged.has(vector);
        this.staged.add(vector);
        return news;
      }
      case DeliveryMode.Nmi:
        return this.#stageWork(Work.Nmi);
      case DeliveryMode.Init:
        return this.#stageWork(Work.Init);
      case DeliveryMode.StartUp:
        this.#sipiVector = vector;
        return this.#stageWork(Work.Sipi);
      default:
        return false;
    }
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

    const { timer } = this;
    if (timer.hasNext) {
      vmTime.now(this.#now);
      if (timer.nextTime.isBefore(this.#now)) {
        this.#evaluateTimer(this.#now);
        timer.updateNext(this.#now);
      }
      if (timer.hasNext) vmTime.setTimeoutIfBefore(timer.nextTime);
    }
    if (this.#workFlags !== 0) {
      work.nmi = (this.#workFlags & Work.Nmi) !== 0;
      work.init = (this.#workFlags & Work.Init) !== 0;
      if ((this.#workFlags & Work.Sipi) !== 0) work.sipi = this.#sipiVector;
      this.#workFlags = 0;
    }
    if (scanIrr || this.#needsScan) this.#takeStaged();
    work.interrupt = this.deliverable();
    return work;
  }

  /** The vector the APIC offers now: the highest of IRR, if its class is above that in service. −1 for none. */
  deliverable(): number {
    if (!this.softwareEnabled) return -1;
    const vector = this.irr.highest();
    return vector >= 0 && vector >>> 4 > Math.max(this.isr.highest(), 0) >>> 4 ? vector : -1;
  }

  /** The guest takes the vector the APIC offered: from IRR to ISR, unless it is auto-EOI. Throws when `vector` is not the highest request. */
  acknowledge(vector: number): void {
    if (vector !== this.irr.highest()) throw new Error(`vector ${vector} acknowledged, but ${this.irr.highest()} was offered`);
    this.irr.remove(vector);
    this.#afterIrrChange();
    if (!this.#autoEoi.has(vector)) this.isr.add(vector);
  }

  /** Power-on state. The timer's last evaluation time stays. */
  reset(): void {
    this.#base.setParts(APIC_DEFAULT_BASE | ApicBase.Enable | (this.vp === 0 ? ApicBase.Bsp : 0), 0);
    this.#resetRegisters();
    // The secure kernel finds its APIC ready: VTL1's starts software-enabled.
    if (this.vtl === 1) this.#svr |= Svr.SoftwareEnable;
    this.#workFlags = 0;
  }

  #resetRegisters(): void {
    this.#ldr = 0;
    this.#clusterMode = false;
    this.#svr = Svr.VectorMask;
    this.isr.clear();
    this.#icr.setParts(0, 0);
    this.irr.clear();
    this.#needsScan = false;
    this.#tmr.clear();
    this.#autoEoi.clear();
    this.#activeAutoEoi = false;
    this.#lvt.fill(Lvt.Masked);
    this.timer.reset();
    // What is staged stays, and is dropped by the next look at it, the APIC being software-disabled.
  }

  #basePage(): number {
    return ((this.#base.hi & 0xf) * 4294967296 + ((this.#base.lo & APIC_BASE_PAGE_LOW) >>> 0)) / 4096;
  }

  /** IA32_APIC_BASE. The BSP flag is read-only; leaving x2APIC mode goes through disabling (SDM 11.12.5). */
  #writeBase(value: ReadonlyU64): MsrStatus {
    if ((value.lo & APIC_BASE_RESERVED_LOW) !== 0 || (value.hi & APIC_BASE_RESERVED_HIGH) !== 0) return MsrStatus.GeneralProtection;
    const enable = (value.lo & ApicBase.Enable) !== 0;
    const x2apic = (value.lo & ApicBase.X2apic) !== 0;
    if (x2apic && (!enable || !this.#x2apicCapable)) return MsrStatus.GeneralProtection;
    if (this.x2apicEnabled && enable && !x2apic) return MsrStatus.GeneralProtection;
    if (this.hardwareEnabled && !enable) this.#resetRegisters();
    this.#base.setParts((value.lo & ~ApicBase.Bsp) | (this.#base.lo & ApicBase.Bsp), value.hi);
    return MsrStatus.Ok;
  }

  /** False when there is no such register to read; `out` is then untouched. */
  #readRegister(register: number, out: U64): boolean {
    const value = this.#registerValue(register);
    if (value === null) return false;
    out.setParts(value, 0);
    return true;
  }

  #registerValue(register: number): number | null {
    if (register >= ApicRegister.Isr0 && register < ApicRegister.Tmr0) return this.isr.banks[register - ApicRegister.Isr0]!;
    if (register >= ApicRegister.Tmr0 && register < ApicRegister.Irr0) {
      this.#takeStaged();
      return this.#tmr.banks[register - ApicRegister.Tmr0]!;
    }
    if (register >= ApicRegister.Irr0 && register < ApicRegister.Esr) {
      this.#takeStaged();
      return this.irr.banks[register - ApicRegister.Irr0]!;
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
        return Math.max(this.#taskPriority(), Math.max(this.isr.highest(), 0) >>> 4) << 4;
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
      default: {
        const lvt = lvtIndex(register);
        return lvt < 0 ? null : this.#lvt[lvt]!;
      }
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
        // What was staged under the old enable state is kept.
        this.#takeStaged();
        this.#svr = value & SVR_MASK;
        if (!this.softwareEnabled) for (let i = 0; i < this.#lvt.length; i++) this.#lvt[i]! |= Lvt.Masked;
        return true;
      case ApicRegister.Esr:
        return !x2apicEnabled || value === 0;
      case ApicRegister.Icr0:
        if (x2apicEnabled) return false;
        this.#writeIcr(value, this.#icr.hi);
        this.#sendIpi();
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
        this.#stageForSelf(DeliveryMode.Fixed, value & 0xff, false);
        return true;
      default: {
        const lvt = lvtIndex(register);
        if (lvt < 0) return false;
        this.#lvt[lvt] = (value & lvtRegisters[lvt]!.mask) | (this.softwareEnabled ? 0 : Lvt.Masked);
        return true;
      }
    }
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

  #endOfInterrupt(): void {
    const vector = this.isr.highest();
    if (vector >= 0) this.isr.remove(vector);
  }

  #writeIcr(low: number, high: number): void {
    this.#icr.setParts(low & ICR_LOW_MASK, this.x2apicEnabled ? high : high & ICR_HIGH_MASK_XAPIC);
  }

  /** Sends what ICR says. Lowest priority is not sent in x2APIC mode, an INIT de-assertion and ExtINT never. */
  #sendIpi(): void {
    const { lo, hi } = this.#icr;
    const deliveryMode = (lo & Icr.DeliveryMask) >>> Icr.DeliveryShift;
    const vector = lo & Icr.VectorMask;
    switch (deliveryMode) {
      case DeliveryMode.Fixed:
      case DeliveryMode.Nmi:
      case DeliveryMode.StartUp:
        break;
      case DeliveryMode.LowestPriority:
        if (this.x2apicEnabled) return;
        break;
      case DeliveryMode.Init:
        if ((lo & Icr.Assert) === 0) return;
        break;
      default:
        return;
    }
    switch ((lo & Icr.ShorthandMask) >>> Icr.ShorthandShift) {
      case Shorthand.Self:
        this.#stageForSelf(deliveryMode, vector, (lo & Icr.LevelTriggered) !== 0);
        return;
      case Shorthand.AllIncludingSelf:
        this.#set.send(Destination.Broadcast, 0, deliveryMode, vector, false);
        return;
      case Shorthand.AllExcludingSelf:
        this.#set.send(Destination.AllExcept, this.apicId, deliveryMode, vector, false);
        return;
    }
    const id = this.x2apicEnabled ? hi >>> 0 : hi >>> 24;
    const everybody = id === (this.x2apicEnabled ? 0xffffffff : 0xff);
    const logical = (lo & Icr.LogicalDestination) !== 0;
    this.#set.send(logical ? Destination.Logical : everybody ? Destination.Broadcast : Destination.Physical, id, deliveryMode, vector, false);
  }

  /** A request of the APIC's own: nobody is woken, the next scan looks. */
  #stageForSelf(deliveryMode: number, vector: number, levelTriggered: boolean): boolean {
    const news = this.stage(deliveryMode, vector, levelTriggered, false);
    if (news) this.#needsScan = true;
    return news;
  }

  #stageWork(flag: number): boolean {
    const news = this.#workFlags === 0;
    this.#workFlags |= flag;
    return news;
  }

  /** Moves staged requests into IRR with their trigger mode and auto-EOI; drops them while software-disabled. */
  #takeStaged(): void {
    for (let bank = 0; bank < 8; bank++) {
      const requests = this.staged.banks[bank]!;
      if (requests === 0) continue;
      this.staged.banks[bank] = 0;
      if (!this.softwareEnabled) continue;
      const autoEoi = this.#stagedAutoEoi.banks[bank]!;
      this.irr.banks[bank]! |= requests;
      this.#tmr.banks[bank] = (this.#tmr.banks[bank]! & ~requests) | (this.#stagedTmr.banks[bank]! & requests);
      this.#autoEoi.banks[bank] = (this.#autoEoi.banks[bank]! & ~requests) | (autoEoi & requests);
      // The whole bank, as in the reference: an auto-EOI vector seen before counts still.
      if (autoEoi !== 0) this.#activeAutoEoi = true;
    }
    this.#needsScan = false;
    this.#afterIrrChange();
  }

  #afterIrrChange(): void {
    if (this.irr.highest() < 0) this.#activeAutoEoi = false;
  }

  /** Brings the timer up to `now`; an expiry requests the LVT's vector unless it is masked. */
  #evaluateTimer(now: ReadonlyU64): void {
    const lvt = this.#lvt[LVT_TIMER]!;
    if (!this.timer.evaluate(now, (lvt & Lvt.TimerModeMask) === Lvt.TimerPeriodic)) return;
    if ((lvt & Lvt.Masked) !== 0) return;
    if (this.#stageForSelf(DeliveryMode.Fixed, lvt & Lvt.VectorMask, false)) this.#observer.delivered(this.vp, this.vtl, TimerSource.Apic, this.timer.expiredAt, now);
  }

  #observeArmed(): void {
    if (this.timer.hasNext) this.#observer.armed(this.vp, this.vtl, TimerSource.Apic, this.timer.nextTime);
  }
}
