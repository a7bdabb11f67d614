/** A VMSA and the processor that runs it: loaded at VMRUN, stored at #VMEXIT (APM volume 2, 15.36 and table B-4). */
import { EventInject, VIntr, VmsaSelector, vmsaLayout, vmsaSelectorLayout } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { Efer, accessRightsOf, dplOf, lowGprs, segmentSelectors, vmsaAttributesOf } from '../abi/index.js';
import { FloatingPointState } from './floating-point-state.js';

const { fields } = vmsaLayout;
const WORD = 4;
const GPR_BYTES = 8;
const SELECTORS = fields.selectors.offset;
const SELECTOR_BYTES = vmsaSelectorLayout.size;
const SELECTOR_LIMIT = vmsaSelectorLayout.fields.limit.offset;
const SELECTOR_BASE = vmsaSelectorLayout.fields.base.offset;

/** [VMSA offset, processor offset] of what is copied as it is and changes no mode. */
const plainRegisters: readonly (readonly [number, number])[] = [
  ...lowGprs.map((name, index) => [fields[name].offset, stateLayout.gpr + index * GPR_BYTES] as const),
  ...Array.from({ length: 8 }, (_, index) => [fields.r8to15.offset + index * GPR_BYTES, stateLayout.gpr + (8 + index) * GPR_BYTES] as const),
  [fields.rip.offset, stateLayout.rip],
  [fields.cr2.offset, stateLayout.cr2],
  ...Array.from({ length: 4 }, (_, index) => [fields.dr0to3.offset + index * GPR_BYTES, stateLayout.dr0 + index * GPR_BYTES] as const),
  [fields.dr6.offset, stateLayout.dr6],
  [fields.dr7.offset, stateLayout.dr7],
  [fields.star.offset, stateLayout.star],
  [fields.lstar.offset, stateLayout.lstar],
  [fields.cstar.offset, stateLayout.cstar],
  [fields.sfmask.offset, stateLayout.sfmask],
  [fields.kernelGsBase.offset, stateLayout.kernelGsBase],
  [fields.sysenterCs.offset, stateLayout.sysenterCs],
  [fields.sysenterEsp.offset, stateLayout.sysenterEsp],
  [fields.sysenterEip.offset, stateLayout.sysenterEip],
  [fields.pat.offset, stateLayout.pat],
  [fields.xcr0.offset, stateLayout.xcr0],
  [SELECTORS + VmsaSelector.Gdtr * SELECTOR_BYTES + SELECTOR_BASE, stateLayout.gdtrBase],
  [SELECTORS + VmsaSelector.Idtr * SELECTOR_BYTES + SELECTOR_BASE, stateLayout.idtrBase],
];

/** What decides the processor's mode and translations: after a change the processor is told. */
const modeRegisters: readonly (readonly [number, number])[] = [
  [fields.cr0.offset, stateLayout.cr0],
  [fields.cr3.offset, stateLayout.cr3],
  [fields.cr4.offset, stateLayout.cr4],
  [fields.efer.offset, stateLayout.efer],
];

const wordPairs = (pairs: readonly (readonly [number, number])[]): Int32Array => Int32Array.from(pairs.flat(), (offset) => offset / WORD);

const plainWords = wordPairs(plainRegisters);
const modeWords = wordPairs(modeRegisters);
/** Word of each segment record: [VMSA, processor]. */
const segmentWords = wordPairs(
  segmentSelectors.map((selector, index) => [SELECTORS + selector * SELECTOR_BYTES, stateLayout.segments + index * stateLayout.segmentSize] as const),
);
const LIMIT_WORD = SELECTOR_LIMIT / WORD;
const BASE_WORD = SELECTOR_BASE / WORD;
const eferWord = fields.efer.offset / WORD;
const gdtrLimitWord = (SELECTORS + VmsaSelector.Gdtr * SELECTOR_BYTES + SELECTOR_LIMIT) / WORD;
const tscAuxWord = fields.tscAux.offset / WORD;
const idtrLimitWord = (SELECTORS + VmsaSelector.Idtr * SELECTOR_BYTES + SELECTOR_LIMIT) / WORD;
const cpu = {
  cr8: stateLayout.cr8 / WORD,
  interruptibility: stateLayout.interruptibility / WORD,
  gdtrLimit: stateLayout.gdtrLimit / WORD,
  idtrLimit: stateLayout.idtrLimit / WORD,
  tscAux: stateLayout.tscAux / WORD,
} as const;

/** Processor interruptibility: blocking by STI or MOV SS, and by NMI. */
const SHADOW = 3;
const SHADOW_BY_STI = 1;
const NMI_BLOCKED = 8;
/** CR8 has four bits. */
const CR8_MASK = 0xf;

/** VMSA segment word 0 (selector, attributes) → the processor's. */
const toProcessor = (word: number): number => (word & 0xffff) | ((accessRightsOf(word >>> 16) & 0xffff) << 16);
const toVmsa = (word: number): number => (word & 0xffff) | (vmsaAttributesOf(word >>> 16) << 16);

export class VmsaState {
  readonly #floatingPoint: FloatingPointState;
  readonly #vmsa: Vmsa;
  readonly #words: Int32Array;
  readonly #processor: Processor;
  readonly #pcpuId: number;

  /** `pcpuId`: the processor's number, not 0. */
  constructor(page: Uint8Array, vmsa: Vmsa, processor: Processor, pcpuId: number) {
    this.#pcpuId = pcpuId;
    this.#vmsa = vmsa;
    this.#words = new Int32Array(page.buffer, page.byteOffset, page.byteLength / WORD);
    this.#processor = processor;
    this.#floatingPoint = new FloatingPointState(page, vmsa, processor);
  }

  /** Everything from the VMSA into the processor; the event to inject is queued and taken out of the VMSA. */
  load(): void {
    const { i32 } = this.#processor;
    const words = this.#words;
    for (let i = 0; i < plainWords.length; i += 2) {
      i32[plainWords[i + 1]!] = words[plainWords[i]!]!;
      i32[plainWords[i + 1]! + 1] = words[plainWords[i]! + 1]!;
    }
    i32[cpu.gdtrLimit] = words[gdtrLimitWord]!;
    i32[cpu.idtrLimit] = words[idtrLimitWord]!;
    i32[cpu.tscAux] = words[tscAuxWord]!;
    if (this.#loadMode()) this.#processor.stateChanged();
    this.#loadTlb();
    this.#floatingPoint.load();
    this.#processor.writeRflags(this.#vmsa.rflags.lo);
    this.#loadInterruptControl();
    this.#loadEvent();
  }

  /** True when something changed: the VMSA usually holds what the last exit stored. */
  #loadMode(): boolean {
    const { i32 } = this.#processor;
    const words = this.#words;
    let difference = 0;
    for (let i = 0; i < modeWords.length; i += 2) {
      const from = modeWords[i]!;
      const to = modeWords[i + 1]!;
      difference |= (i32[to]! ^ words[from]!) | (i32[to + 1]! ^ words[from + 1]!);
      i32[to] = words[from]!;
      i32[to + 1] = words[from + 1]!;
    }
    for (let i = 0; i < segmentWords.length; i += 2) {
      const from = segmentWords[i]!;
      const to = segmentWords[i + 1]!;
      const record = toProcessor(words[from]!);
      difference |= (i32[to]! ^ record) | (i32[to + LIMIT_WORD]! ^ words[from + LIMIT_WORD]!);
      difference |= (i32[to + BASE_WORD]! ^ words[from + BASE_WORD]!) | (i32[to + BASE_WORD + 1]! ^ words[from + BASE_WORD + 1]!);
      i32[to] = record;
      i32[to + LIMIT_WORD] = words[from + LIMIT_WORD]!;
      i32[to + BASE_WORD] = words[from + BASE_WORD]!;
      i32[to + BASE_WORD + 1] = words[from + BASE_WORD + 1]!;
    }
    return difference !== 0;
  }

  /** Translations of another processor, or ones that software has disowned by writing the field, are none. */
  #loadTlb(): void {
    const { pcpuId } = this.#vmsa;
    if (pcpuId.lo === this.#pcpuId && pcpuId.hi === 0) return;
    this.#processor.flushTlb();
    pcpuId.setParts(this.#pcpuId, 0);
  }

  #loadInterruptControl(): void {
    const processor = this.#processor;
    const { i32 } = processor;
    const { lo, hi } = this.#vmsa.vIntrCntrl;
    i32[cpu.cr8] = lo & CR8_MASK;
    i32[cpu.cr8 + 1] = 0;
    const wasInShadow = i32[cpu.interruptibility]! & SHADOW;
    const shadow = (lo & VIntr.Shadow) === 0 ? 0 : wasInShadow === 0 ? SHADOW_BY_STI : wasInShadow;
    i32[cpu.interruptibility] = shadow | ((lo & VIntr.NmiMask) === 0 ? 0 : NMI_BLOCKED);
    processor.virtualInterrupt = (lo & VIntr.Irq) === 0 ? -1 : hi & VIntr.HighVectorMask;
    processor.virtualInterruptIgnoreTpr = (lo & VIntr.IgnoreTpr) !== 0;
  }

  #loadEvent(): void {
    const { eventInject } = this.#vmsa;
    const info = eventInject.lo;
    if ((info & EventInject.Valid) === 0) return;
    const errorCode = (info & EventInject.ErrorCodeValid) === 0 ? -1 : eventInject.hi & 0x7fffffff;
    this.#processor.inject((info & EventInject.TypeMask) >>> EventInject.TypeShift, info & EventInject.VectorMask, errorCode, 0);
    eventInject.setParts(0, 0);
  }

  /** Everything from the processor into the VMSA. An interrupt that was taken is no longer requested. */
  store(): void {
    const vmsa = this.#vmsa;
    const words = this.#words;
    const processor = this.#processor;
    const { i32 } = processor;
    for (let i = 0; i < plainWords.length; i += 2) {
      words[plainWords[i]!] = i32[plainWords[i + 1]!]!;
      words[plainWords[i]! + 1] = i32[plainWords[i + 1]! + 1]!;
    }
    words[gdtrLimitWord] = i32[cpu.gdtrLimit]!;
    words[idtrLimitWord] = i32[cpu.idtrLimit]!;
    words[tscAuxWord] = i32[cpu.tscAux]!;
    for (let i = 0; i < modeWords.length; i += 2) {
      words[modeWords[i]!] = i32[modeWords[i + 1]!]!;
      words[modeWords[i]! + 1] = i32[modeWords[i + 1]! + 1]!;
    }
    // A guest may write EFER without SVME; hardware that runs it keeps the bit.
    words[eferWord]! |= Efer.Svme;
    for (let i = 0; i < segmentWords.length; i += 2) {
      const to = segmentWords[i]!;
      const from = segmentWords[i + 1]!;
      words[to] = toVmsa(i32[from]!);
      words[to + LIMIT_WORD] = i32[from + LIMIT_WORD]!;
      words[to + BASE_WORD] = i32[from + BASE_WORD]!;
      words[to + BASE_WORD + 1] = i32[from + BASE_WORD + 1]!;
    }
    this.#floatingPoint.store();
    vmsa.rflags.setParts(processor.readRflags(), 0);
    vmsa.cpl = dplOf(vmsa.selectors[VmsaSelector.Ss]!.attributes);
    this.#storeInterruptControl();
  }

  #storeInterruptControl(): void {
    const { i32, virtualInterrupt } = this.#processor;
    const { vIntrCntrl } = this.#vmsa;
    const interruptibility = i32[cpu.interruptibility]!;
    const cleared = vIntrCntrl.lo & ~(VIntr.TprMask | VIntr.Irq | VIntr.Shadow | VIntr.NmiMask);
    const irq = virtualInterrupt < 0 ? 0 : VIntr.Irq;
    const shadow = (interruptibility & SHADOW) === 0 ? 0 : VIntr.Shadow;
    const nmiMask = (interruptibility & NMI_BLOCKED) === 0 ? 0 : VIntr.NmiMask;
    vIntrCntrl.setParts(cleared | (i32[cpu.cr8]! & CR8_MASK) | irq | shadow | nmiMask, vIntrCntrl.hi);
  }
}
