/** The virtual-APIC page of one lower VTL: the task priority, and for VTL0 what hardware keeps of its APIC (openvmm, TDX `poll_apic`). */
import { ApicRegister, VmcsField, l2VmOfVtl } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';
import type { ApicOffloadTarget, Cr8Access, VectorSet } from '@paravisor/virt-core';
import { ElementSize, l2MsrBitmapClass, l2VmcsFieldHigh, vpFieldHigh } from '../abi/index.js';
import type { TdvpsAccess } from './l2-field.js';
import type { PrivateRegisters } from './private-registers.js';

/** Registers lie 16 bytes apart. */
const WORDS_A_REGISTER = 4;
const BANKS = 8;
const TPR = ApicRegister.Tpr * WORDS_A_REGISTER;
const CLASS_SHIFT = 4;

/** Words of the MSR bitmaps that hold the x2APIC MSRs 0x800 .. 0x83f, for reading and for writing. */
const X2APIC_BITMAP_WORDS = [0x800 / 64, 0x100 + 0x800 / 64] as const;
/** x2APIC registers that hardware virtualizes; all are below 64, and the last in the high half. */
const OFFLOADED_LOW = (1 << ApicRegister.Tpr) | (1 << ApicRegister.Eoi);
const OFFLOADED_HIGH = 1 << (ApicRegister.SelfIpi - 32);

export class TdxApicPage implements Cr8Access {
  protected readonly words: Int32Array;

  constructor(bytes: Uint8Array) {
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** TPR bits 7:4. */
  readCr8(): number {
    return this.words[TPR]! >>> CLASS_SHIFT;
  }

  writeCr8(value: number): void {
    this.words[TPR] = value << CLASS_SHIFT;
  }
}

/** VTL0's, whose IRR and ISR are offloaded. RVI and SVI follow as the top vectors. */
export class OffloadedApicPage extends TdxApicPage implements ApicOffloadTarget {
  readonly #access: TdvpsAccess;
  readonly #page: TdxRunPage;
  readonly #registers: PrivateRegisters;
  readonly #eoiExits = new Int32Array(BANKS);

  constructor(bytes: Uint8Array, access: TdvpsAccess, page: TdxRunPage, registers: PrivateRegisters) {
    super(bytes);
    this.#access = access;
    this.#page = page;
    this.#registers = registers;
  }

  /** Lets accesses to the offloaded x2APIC registers through, or not. */
  setMsrsOffloaded(offloaded: boolean): void {
    const idHi = vpFieldHigh(l2MsrBitmapClass(l2VmOfVtl(0)), ElementSize.Bytes8);
    for (const word of X2APIC_BITMAP_WORDS) this.#access.write(word, idHi, offloaded ? ~OFFLOADED_LOW : -1, offloaded ? ~OFFLOADED_HIGH : -1);
  }

  push(irr: VectorSet, isr: VectorSet, tmr: VectorSet): void {
    for (let banks = irr.occupied | isr.occupied; banks !== 0; banks &= banks - 1) {
      const bank = 31 - Math.clz32(banks & -banks);
      this.words[(ApicRegister.Irr0 + bank) * WORDS_A_REGISTER]! |= irr.bank(bank);
      this.words[(ApicRegister.Isr0 + bank) * WORDS_A_REGISTER]! |= isr.bank(bank);
    }
    this.#registers.svi = this.#top(ApicRegister.Isr0);
    this.#registers.rvi = this.#top(ApicRegister.Irr0);
    for (let field = 0; field < BANKS; field += 2) this.#updateEoiExits(field, tmr);
  }

  /** The driver keeps a copy: a vector in it that comes as an edge has to go to user mode, which clears it here. */
  #updateEoiExits(first: number, vectors: VectorSet): void {
    const exits = this.#eoiExits;
    const low = vectors.bank(first);
    const high = vectors.bank(first + 1);
    if (exits[first] === low && exits[first + 1] === high) return;
    const field = VmcsField.EoiExitBitmap0 + first;
    this.#access.write(field, l2VmcsFieldHigh(l2VmOfVtl(0), field), low, high);
    exits[first] = this.#page.proxyIrrExitMask[first] = low;
    exits[first + 1] = this.#page.proxyIrrExitMask[first + 1] = high;
  }

  /** RVI and SVI stay as they were until the next push. */
  pull(irr: VectorSet, isr: VectorSet): void {
    for (let bank = 0; bank < BANKS; bank++) {
      const irrWord = (ApicRegister.Irr0 + bank) * WORDS_A_REGISTER;
      const isrWord = (ApicRegister.Isr0 + bank) * WORDS_A_REGISTER;
      irr.setBank(bank, this.words[irrWord]!);
      isr.setBank(bank, this.words[isrWord]!);
      this.words[irrWord] = this.words[isrWord] = 0;
    }
  }

  #top(register: number): number {
    for (let bank = BANKS - 1; bank >= 0; bank--) {
      const bits = this.words[(register + bank) * WORDS_A_REGISTER]!;
      if (bits !== 0) return bank * 32 + 31 - Math.clz32(bits);
    }
    return 0;
  }

  save(): readonly number[] {
    return [...this.#eoiExits];
  }

  restore(eoiExits: readonly number[]): void {
    this.#eoiExits.set(eoiExits);
  }
}
