/** A VMSA and the processor that runs it: loaded at VMRUN, stored at #VMEXIT (APM volume 2, 15.36 and table B-4). */
import { EventInject, VIntr, VmsaSelector } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import type { VpMachine } from '@paravisor/virt-machine';
import { createRegisterImage, stateLayout } from '@paravisor/x86-cpu';
import type { Processor, RegisterImage } from '@paravisor/x86-cpu';
import { Efer, dplOf } from '../abi/index.js';
import { vmsaRegisters } from './vmsa-registers.js';

/** Words of the processor's state. */
const CR8 = stateLayout.cr8 >> 2;
const INTERRUPTIBILITY = stateLayout.interruptibility >> 2;

/** Processor interruptibility: blocking by STI or MOV SS, and by NMI. */
const SHADOW = 3;
const SHADOW_BY_STI = 1;
const NMI_BLOCKED = 8;
/** CR8 has four bits. */
const CR8_MASK = 0xf;

export class VmsaState {
  readonly #vmsa: Vmsa;
  readonly #registers: RegisterImage;
  readonly #processor: Processor;
  readonly #pcpuId: number;

  /** Of the processor that `machine` runs VTL `vtl` in. */
  constructor(machine: VpMachine, vtl: number, vmsa: Vmsa) {
    // The processor's number, not 0.
    this.#pcpuId = machine.index + 1;
    this.#vmsa = vmsa;
    this.#processor = machine.processors[vtl]!;
    this.#registers = createRegisterImage(machine.memory, this.#processor, machine.vmsaPages[vtl]!, vmsaRegisters);
  }

  /** Everything from the VMSA into the processor; the event to inject is queued and taken out of the VMSA. */
  load(): void {
    // The VMSA usually holds what the last exit stored.
    if (this.#registers.load()) this.#processor.stateChanged();
    this.#loadTlb();
    this.#processor.writeRflags(this.#vmsa.rflags.lo);
    this.#loadInterruptControl();
    this.#loadEvent();
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
    i32[CR8] = lo & CR8_MASK;
    i32[CR8 + 1] = 0;
    const wasInShadow = i32[INTERRUPTIBILITY]! & SHADOW;
    const shadow = (lo & VIntr.Shadow) === 0 ? 0 : wasInShadow === 0 ? SHADOW_BY_STI : wasInShadow;
    i32[INTERRUPTIBILITY] = shadow | ((lo & VIntr.NmiMask) === 0 ? 0 : NMI_BLOCKED);
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
    this.#registers.store();
    // A guest may write EFER without SVME; hardware that runs it keeps the bit.
    vmsa.efer.setParts(vmsa.efer.lo | Efer.Svme, vmsa.efer.hi);
    vmsa.rflags.setParts(this.#processor.readRflags(), 0);
    vmsa.cpl = dplOf(vmsa.selectors[VmsaSelector.Ss]!.attributes);
    this.#storeInterruptControl();
  }

  #storeInterruptControl(): void {
    const { i32, virtualInterrupt } = this.#processor;
    const { vIntrCntrl } = this.#vmsa;
    const interruptibility = i32[INTERRUPTIBILITY]!;
    const cleared = vIntrCntrl.lo & ~(VIntr.TprMask | VIntr.Irq | VIntr.Shadow | VIntr.NmiMask);
    const irq = virtualInterrupt < 0 ? 0 : VIntr.Irq;
    const shadow = (interruptibility & SHADOW) === 0 ? 0 : VIntr.Shadow;
    const nmiMask = (interruptibility & NMI_BLOCKED) === 0 ? 0 : VIntr.NmiMask;
    vIntrCntrl.setParts(cleared | (i32[CR8]! & CR8_MASK) | irq | shadow | nmiMask, vIntrCntrl.hi);
  }
}
