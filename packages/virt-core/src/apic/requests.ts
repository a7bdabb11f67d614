/** Interrupt requests of one local APIC, from being asked for to end of interrupt (SDM volume 3, 11.8.4). */
import { DeliveryMode } from '@paravisor/hcl-protocol';
import { VectorSet } from './vector-set.js';

/** Sets of vectors as eight banks of 32. */
export type ApicRequestsState = {
  readonly irr: readonly number[];
  readonly isr: readonly number[];
  readonly tmr: readonly number[];
  readonly autoEoi: readonly number[];
  readonly staged: readonly number[];
  readonly stagedTmr: readonly number[];
  readonly stagedAutoEoi: readonly number[];
  readonly work: number;
  readonly sipiVector: number;
  readonly activeAutoEoi: boolean;
};

const FIRST_LEGAL_VECTOR = 16;
const LEGAL_IN_BANK_0 = 0xffff0000;

/** Requests that are no vectors. Of ExtINT nothing comes but that the VP is woken: openvmm's confidential backings do not support it. */
export const Work = { Init: 1, StartUp: 2, Nmi: 4, ExtInt: 8 } as const;

/** The highest bit of 16, alone. */
const highestOfHalf = (bits: number): number => (bits === 0 ? 0 : 1 << (31 - Math.clz32(bits)));

/**
 * Two sets of requests are kept, as in the reference: those anybody has staged, and IRR, into which the VP takes them. So an interrupt that comes a
 * second time while the first is on its way into the processor is not lost.
 */
export class ApicRequests {
  /** Taken over by the VP: IRR. */
  readonly irr = new VectorSet();
  /** In service: at most one vector a priority class. */
  readonly isr = new VectorSet();
  /** Level-triggered requests among those ever in `irr`. */
  readonly tmr = new VectorSet();
  /** Asked for, not yet looked at. */
  readonly staged = new VectorSet();
  /** `Work` flags staged. */
  work = 0;
  /** Of the last StartUp request. */
  sipiVector = 0;
  /** An auto-EOI request is in IRR, or was since IRR was last empty. */
  activeAutoEoi = false;
  readonly #stagedTmr = new VectorSet();
  readonly #autoEoi = new VectorSet();
  readonly #stagedAutoEoi = new VectorSet();

  /** Stages a request; true when that is news. Vectors below 16 are dropped, and fixed requests while the APIC is software-disabled. */
  stage(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean, softwareEnabled: boolean): boolean {
    switch (deliveryMode) {
      case DeliveryMode.Fixed:
      case DeliveryMode.LowestPriority:
        return softwareEnabled && vector >= FIRST_LEGAL_VECTOR && this.#stageVector(vector, levelTriggered, autoEoi);
      case DeliveryMode.Nmi:
        return this.#stageWork(Work.Nmi);
      case DeliveryMode.Init:
        return this.#stageWork(Work.Init);
      case DeliveryMode.StartUp:
        this.sipiVector = vector;
        return this.#stageWork(Work.StartUp);
      case DeliveryMode.ExtInt:
        return this.#stageWork(Work.ExtInt);
      default:
        return false;
    }
  }

  /** Moves staged vectors into IRR with their trigger mode and auto-EOI, or drops them when the APIC is software-disabled. True when any has come. */
  take(softwareEnabled: boolean): boolean {
    let taken = false;
    for (let banks = this.staged.occupied; banks !== 0; banks &= banks - 1) {
      const bank = 31 - Math.clz32(banks & -banks);
      const vectors = this.staged.bank(bank);
      this.staged.setBank(bank, 0);
      if (!softwareEnabled) continue;
      taken = true;
      const autoEoi = this.#stagedAutoEoi.bank(bank);
      this.irr.setBank(bank, this.irr.bank(bank) | vectors);
      this.tmr.setBank(bank, (this.tmr.bank(bank) & ~vectors) | (this.#stagedTmr.bank(bank) & vectors));
      this.#autoEoi.setBank(bank, (this.#autoEoi.bank(bank) & ~vectors) | (autoEoi & vectors));
      // The whole bank, as in the reference: a vector that was auto-EOI when it was last asked for counts still.
      if (autoEoi !== 0) this.activeAutoEoi = true;
    }
    this.#afterIrrChange();
    return taken;
  }

  /** IRR and ISR that were elsewhere. In service stays one vector a priority class, the highest. */
  accumulate(irr: VectorSet, isr: VectorSet): void {
    for (let banks = irr.occupied | isr.occupied; banks !== 0; banks &= banks - 1) {
      const bank = 31 - Math.clz32(banks & -banks);
      this.irr.setBank(bank, this.irr.bank(bank) | irr.bank(bank));
      const bits = this.isr.bank(bank) | isr.bank(bank);
      this.isr.setBank(bank, highestOfHalf(bits & 0xffff) | (highestOfHalf(bits >>> 16) << 16));
    }
    this.#afterIrrChange();
  }

  /** Puts edge-triggered requests into IRR, without staging them; vectors below 16 are dropped. */
  addEdges(vectors: Uint32Array): void {
    for (let bank = 0; bank < vectors.length; bank++) {
      const added = bank === 0 ? vectors[bank]! & LEGAL_IN_BANK_0 : vectors[bank]!;
      this.irr.setBank(bank, this.irr.bank(bank) | added);
      this.tmr.setBank(bank, this.tmr.bank(bank) & ~added);
      this.#autoEoi.setBank(bank, this.#autoEoi.bank(bank) & ~added);
    }
  }

  /** The highest vector of IRR, if its priority class is above that in service; −1 for none. */
  deliverable(): number {
    const vector = this.irr.highest();
    return vector >>> 4 > this.servicePriority() && vector >= 0 ? vector : -1;
  }

  /** Whether `vector`, which is offered, is auto-EOI, and another request waits with it: no end of interrupt will tell when that one's time has come. */
  waitsBehindAutoEoi(vector: number): boolean {
    return this.#autoEoi.has(vector) && !this.irr.isOnly(vector);
  }

  /** Priority class in service, 0 for none. */
  servicePriority(): number {
    return Math.max(this.isr.highest(), 0) >>> 4;
  }

  /** From IRR to ISR, unless the request is auto-EOI. Throws when `vector` is not the highest of IRR. */
  acknowledge(vector: number): void {
    const highest = this.irr.highest();
    if (vector !== highest) throw new Error(`vector ${vector} acknowledged, but ${highest} was offered`);
    this.irr.remove(vector);
    this.#afterIrrChange();
    if (!this.#autoEoi.has(vector)) this.isr.add(vector);
  }

  /** Ends what is highest in service: its vector, −1 for nothing. */
  endOfInterrupt(): number {
    const vector = this.isr.highest();
    if (vector >= 0) this.isr.remove(vector);
    return vector;
  }

  /**
   * Whether the guest may end an interrupt without an exit: nothing waits for that end. With a request pending it is the only one, in service is nothing,
   * and the end meant is its own; else it is that of the highest in service. Only for edge-triggered ones: a level has to be looked at again.
   */
  lazyEoiPossible(): boolean {
    const pending = this.irr.highest();
    const ended = pending < 0 ? this.isr.highest() : this.isr.highest() < 0 && this.irr.isOnly(pending) ? pending : -1;
    return ended >= 0 && !this.tmr.has(ended);
  }

  /** What the VP has taken over is forgotten. Staged vectors stay: the next look drops them, if the APIC is software-disabled by then. */
  reset(): void {
    this.irr.clear();
    this.isr.clear();
    this.tmr.clear();
    this.#autoEoi.clear();
    this.activeAutoEoi = false;
  }

  save(): ApicRequestsState {
    return {
      irr: this.irr.save(),
      isr: this.isr.save(),
      tmr: this.tmr.save(),
      autoEoi: this.#autoEoi.save(),
      staged: this.staged.save(),
      stagedTmr: this.#stagedTmr.save(),
      stagedAutoEoi: this.#stagedAutoEoi.save(),
      work: this.work,
      sipiVector: this.sipiVector,
      activeAutoEoi: this.activeAutoEoi,
    };
  }

  restore(state: ApicRequestsState): void {
    this.irr.restore(state.irr);
    this.isr.restore(state.isr);
    this.tmr.restore(state.tmr);
    this.#autoEoi.restore(state.autoEoi);
    this.staged.restore(state.staged);
    this.#stagedTmr.restore(state.stagedTmr);
    this.#stagedAutoEoi.restore(state.stagedAutoEoi);
    this.work = state.work;
    this.sipiVector = state.sipiVector;
    this.activeAutoEoi = state.activeAutoEoi;
  }

  #stageVector(vector: number, levelTriggered: boolean, autoEoi: boolean): boolean {
    if (levelTriggered) this.#stagedTmr.add(vector);
    else this.#stagedTmr.remove(vector);
    if (autoEoi) this.#stagedAutoEoi.add(vector);
    else this.#stagedAutoEoi.remove(vector);
    const news = !this.staged.has(vector);
    this.staged.add(vector);
    return news;
  }

  #stageWork(flag: number): boolean {
    const news = this.work === 0;
    this.work |= flag;
    return news;
  }

  #afterIrrChange(): void {
    if (this.irr.highest() < 0) this.activeAutoEoi = false;
  }
}
