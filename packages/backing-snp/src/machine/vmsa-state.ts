/** A VMSA and the processor that runs it: loaded at VMRUN, stored at #VMEXIT (APM volume 2, 15.36 and table B-4). */
import { EventInject, VIntr } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import type { Processor } from '@paravisor/x86-cpu';
import { Efer, dplOf } from '../abi/index.js';
import { FloatingPointState } from './floating-point-state.js';
import { loadRegisters, storeRegisters } from './register-copy.js';
import { cpu, save } from './register-words.js';
import { loadSegments, storeSegments } from './segment-copy.js';

/** Processor interruptibility: blocking by STI or MOV SS, and by NMI. */
const SHADOW = 3;
const SHADOW_BY_STI = 1;
const NMI_BLOCKED = 8;
/** CR8 has four bits. */
const CR8_MASK = 0xf;

/** Copies a register of 64 bits; 0 when it was equal before. */
function change(to: Int32Array, at: number, from: Int32Array, word: number): number {
  const lo = from[word]!;
  const hi = from[word + 1]!;
  const difference = (to[at]! ^ lo) | (to[at + 1]! ^ hi);
  to[at] = lo;
  to[at + 1] = hi;
  return difference;
}

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
    this.#words = new Int32Array(page.buffer, page.byteOffset, page.byteLength / 4);
    this.#processor = processor;
    this.#floatingPoint = new FloatingPointState(page, processor);
  }

  /** Everything from the VMSA into the processor; the event to inject is queued and taken out of the VMSA. */
  load(): void {
    const { i32 } = this.#processor;
    const words = this.#words;
    loadRegisters(i32, words);
    if (this.#loadMode()) this.#processor.stateChanged();
    this.#loadTlb();
    this.#floatingPoint.load();
    this.#processor.writeRflags(words[save.rflags]!);
    this.#loadInterruptControl();
    this.#loadEvent();
  }

  /** True when something changed: the VMSA usually holds what the last exit stored. */
  #loadMode(): boolean {
    const { i32 } = this.#processor;
    const words = this.#words;
    const difference =
      change(i32, cpu.cr0, words, save.cr0) | change(i32, cpu.cr3, words, save.cr3) | change(i32, cpu.cr4, words, save.cr4) | change(i32, cpu.efer, words, save.efer);
    return (loadSegments(i32, words) | difference) !== 0;
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
    storeRegisters(words, i32);
    // A guest may write EFER without SVME; hardware that runs it keeps the bit.
    words[save.efer]! |= Efer.Svme;
    storeSegments(words, i32);
    this.#floatingPoint.store();
    words[save.rflags] = processor.readRflags();
    words[save.rflags + 1] = 0;
    vmsa.cpl = dplOf(words[save.ss]! >>> 16);
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
