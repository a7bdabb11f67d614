/** The virtual-APIC page of one L2 VM, and what the processor does with it by itself (SDM volume 3, 30.1 and 30.2). */
import { ApicRegister, VmxExit } from '@paravisor/hcl-protocol';
import type { Processor, VirtualApic } from '@paravisor/x86-cpu';

/** Registers lie 16 bytes apart. */
const WORDS_A_REGISTER = 4;
const BANKS = 8;
const CLASS_SHIFT = 4;
const CLASS_MASK = 0xf0;

/** Qualification of an APIC-write exit: the register's offset in the page. */
const SELF_IPI_OFFSET = ApicRegister.SelfIpi << 4;

/** The highest vector of the eight banks from register `first` on; 0 when there is none. */
function highest(page: Int32Array, first: number): number {
  for (let bank = BANKS - 1; bank >= 0; bank--) {
    const bits = page[(first + bank) * WORDS_A_REGISTER]!;
    if (bits !== 0) return bank * 32 + 31 - Math.clz32(bits);
  }
  return 0;
}

const wordOf = (first: number, vector: number): number => (first + (vector >>> 5)) * WORDS_A_REGISTER;
const bitOf = (vector: number): number => 1 << (vector & 31);

/** What `VirtualApicPage.save` gives. */
export type VirtualApicState = {
  readonly rvi: number;
  readonly svi: number;
  readonly trapReason: number;
  readonly trapQualification: number;
  readonly deliversInterrupts: boolean;
  readonly tprThreshold: number;
  readonly recognized: number;
};

/**
 * Between an entry and its exit this holds the guest interrupt status; before and after it is in L2_ENTER_GUEST_STATE. A virtual interrupt is given to
 * the processor when it is recognized; that it was delivered is seen at the next access to the APIC or at the exit, before which nothing could tell.
 */
export class VirtualApicPage implements VirtualApic {
  /** Requested and servicing virtual interrupt. */
  rvi = 0;
  svi = 0;
  /** Why `write` asked for an exit: a VMX basic exit reason, and the exit qualification. */
  trapReason = 0;
  trapQualification = 0;
  readonly #processor: Processor;
  #page: Int32Array | null = null;
  #deliversInterrupts = false;
  #tprThreshold = 0;
  readonly #eoiExits = new Int32Array(BANKS);
  /** The recognized vector the processor was given, −1 for none. */
  #recognized = -1;

  constructor(processor: Processor) {
    this.#processor = processor;
  }

  /** VTL2 named the page; null when the address is of no page it has. */
  setPage(bytes: Uint8Array | null): void {
    this.#page = bytes === null ? null : new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  get pageSet(): boolean {
    return this.#page !== null;
  }

  /** Half `half` (0 .. 7) of the four EOI-exit bitmaps. */
  setEoiExits(half: number, bits: number): void {
    this.#eoiExits[half] = bits;
  }

  /** An entry, under the controls of the VMCS; it evaluates pending virtual interrupts (SDM volume 3, 27.3.2.5). */
  enter(rvi: number, svi: number, deliversInterrupts: boolean, tprThreshold: number): void {
    this.rvi = rvi;
    this.svi = svi;
    this.#deliversInterrupts = deliversInterrupts;
    this.#tprThreshold = tprThreshold;
    this.#recognized = -1;
    if (deliversInterrupts) this.#updatePriority();
    this.#evaluate();
  }

  save(): VirtualApicState {
    const { rvi, svi, trapReason, trapQualification } = this;
    const [deliversInterrupts, tprThreshold, recognized] = [this.#deliversInterrupts, this.#tprThreshold, this.#recognized];
    return { rvi, svi, trapReason, trapQualification, deliversInterrupts, tprThreshold, recognized };
  }

  /** The page and the EOI exits are VMCS fields, and come back with them. */
  restore(state: VirtualApicState): void {
    ({ rvi: this.rvi, svi: this.svi, trapReason: this.trapReason, trapQualification: this.trapQualification } = state);
    ({ deliversInterrupts: this.#deliversInterrupts, tprThreshold: this.#tprThreshold, recognized: this.#recognized } = state);
  }

  /** Whether an entry is followed by an exit at once: TPR is below its threshold (SDM volume 3, 27.7.7). */
  get tprBelowThreshold(): boolean {
    return !this.#deliversInterrupts && this.#taskPriority() >>> CLASS_SHIFT < this.#tprThreshold;
  }

  /** An exit: what was recognized is so no longer. */
  exit(): void {
    this.#settle();
    this.#recognized = -1;
    this.#processor.virtualInterrupt = -1;
  }

  read(register: number): number {
    this.#settle();
    return this.#page![register * WORDS_A_REGISTER]!;
  }

  write(register: number, value: number): boolean {
    this.#settle();
    switch (register) {
      case ApicRegister.Tpr:
        return this.#writeTaskPriority(value);
      case ApicRegister.Eoi:
        return this.#endOfInterrupt();
      default:
        return this.#selfIpi(value & 0xff);
    }
  }

  #taskPriority(): number {
    return this.#page![ApicRegister.Tpr * WORDS_A_REGISTER]!;
  }

  /** TPR virtualization, SDM volume 3, 30.1.2. */
  #writeTaskPriority(value: number): boolean {
    this.#page![ApicRegister.Tpr * WORDS_A_REGISTER] = value;
    if (!this.#deliversInterrupts) return this.tprBelowThreshold && this.#trap(VmxExit.TprBelowThreshold, 0);
    this.#updatePriority();
    this.#evaluate();
    return false;
  }

  /** EOI virtualization, SDM volume 3, 30.1.4. */
  #endOfInterrupt(): boolean {
    const page = this.#page!;
    const vector = this.svi;
    page[wordOf(ApicRegister.Isr0, vector)]! &= ~bitOf(vector);
    this.svi = highest(page, ApicRegister.Isr0);
    this.#updatePriority();
    if ((this.#eoiExits[vector >>> 5]! & bitOf(vector)) !== 0) return this.#trap(VmxExit.VirtualizedEoi, vector);
    this.#evaluate();
    return false;
  }

  /** Self-IPI virtualization, SDM volume 3, 30.1.5; a vector below 16 is left to software (30.5). */
  #selfIpi(vector: number): boolean {
    if ((vector & CLASS_MASK) === 0) return this.#trap(VmxExit.ApicWrite, SELF_IPI_OFFSET);
    this.#page![wordOf(ApicRegister.Irr0, vector)]! |= bitOf(vector);
    this.rvi = Math.max(this.rvi, vector);
    this.#evaluate();
    return false;
  }

  #trap(reason: number, qualification: number): boolean {
    this.trapReason = reason;
    this.trapQualification = qualification;
    return true;
  }

  /** PPR virtualization, SDM volume 3, 30.1.3. */
  #updatePriority(): void {
    const taskPriority = this.#taskPriority() & 0xff;
    const serviced = this.svi & CLASS_MASK;
    this.#page![ApicRegister.Ppr * WORDS_A_REGISTER] = (taskPriority & CLASS_MASK) >= serviced ? taskPriority : serviced;
  }

  /** Evaluation of pending virtual interrupts, SDM volume 3, 30.2.1. */
  #evaluate(): void {
    const priority = this.#deliversInterrupts ? this.#page![ApicRegister.Ppr * WORDS_A_REGISTER]! & CLASS_MASK : CLASS_MASK;
    this.#recognized = (this.rvi & CLASS_MASK) > priority ? this.rvi : -1;
    this.#processor.virtualInterruptIgnoreTpr = true;
    this.#processor.virtualInterrupt = this.#recognized;
  }

  /** Virtual-interrupt delivery, SDM volume 3, 30.2.2, if the processor has done it meanwhile. */
  #settle(): void {
    if (this.#recognized < 0 || this.#processor.virtualInterrupt >= 0) return;
    const page = this.#page!;
    const vector = this.#recognized;
    this.#recognized = -1;
    page[wordOf(ApicRegister.Isr0, vector)]! |= bitOf(vector);
    page[wordOf(ApicRegister.Irr0, vector)]! &= ~bitOf(vector);
    this.svi = vector;
    page[ApicRegister.Ppr * WORDS_A_REGISTER] = vector & CLASS_MASK;
    this.rvi = highest(page, ApicRegister.Irr0);
  }
}
