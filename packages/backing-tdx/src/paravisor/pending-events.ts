/**
 * Events on their way into a lower VTL: at most one is injected by an entry; for others the entry asks to exit as soon as the guest could take one.
 * This is delivery without virtual-interrupt delivery (openvmm `handle_interrupt`, `handle_nmi` and `handle_vmx_exit` for an APIC that is not offloaded).
 */
import { InterruptionInfo, InterruptionType, Interruptibility, ProcessorControl } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { Cr8Access, LocalApic } from '@paravisor/virt-core';
import type { L2Vmcs } from './l2-vmcs.js';
import type { PrivateRegisters } from './private-registers.js';

const RFLAGS_IF = 1 << 9;
const NMI_VECTOR = 2;
const CLASS_SHIFT = 4;
const SHADOW = Interruptibility.BlockedBySti | Interruptibility.BlockedByMovSs;
const typeOf = (info: number): number => (info & InterruptionInfo.TypeMask) >> InterruptionInfo.TypeShift;
const isExternal = (info: number): boolean => info !== 0 && typeOf(info) === InterruptionType.External;
/** INT n, INT1, INT3 and INTO: their RIP has to be moved over the instruction. */
const isSoftware = (info: number): boolean => typeOf(info) >= InterruptionType.SoftwareInterrupt;
/** An interrupt or NMI stays with the APIC until it is delivered: each entry chooses anew, since the APIC's state may have changed. */
const isChosenAnew = (info: number): boolean => typeOf(info) === InterruptionType.External || typeOf(info) === InterruptionType.Nmi;

/** What `PendingEvents.save` gives. */
export type PendingEventsState = {
  readonly info: number;
  readonly errorCode: number;
  readonly instructionLength: number;
  readonly written: number;
  readonly nmi: boolean;
  readonly offered: number;
};

/** Those of one lower VTL. */
export class PendingEvents {
  readonly #vmcs: L2Vmcs;
  readonly #registers: PrivateRegisters;
  readonly #apic: LocalApic;
  readonly #taskPriority: Cr8Access;
  /** The event the next entry injects, as VM-entry interruption information; 0 for none. */
  #info = 0;
  #errorCode = 0;
  #instructionLength = 0;
  /** What the VMCS would inject now: left there by a run that was cancelled or refused, else 0. */
  #written = 0;
  #nmi = false;
  /** Vector the APIC offers in this round, −1 for none. */
  #offered = -1;

  constructor(vmcs: L2Vmcs, registers: PrivateRegisters, apic: LocalApic, taskPriority: Cr8Access) {
    this.#vmcs = vmcs;
    this.#registers = registers;
    this.#apic = apic;
    this.#taskPriority = taskPriority;
  }

  /**
   * A lower VTL was entered. The event is delivered, and only now acknowledged, unless one of its type is in `idtVectoring` (exit_info.r10): that one was
   * cut off. `instructionLength` belongs to the latter. An exception that was cut off is injected again; an interrupt or NMI is still pending, unless
   * the APIC is offloaded: hardware has moved the vector from IRR to ISR, and whatever was cut off has to be injected.
   */
  entered(idtVectoring: ReadonlyU64, instructionLength: number): void {
    const injected = this.#info;
    const cutOff = (idtVectoring.lo & InterruptionInfo.Valid) !== 0 ? idtVectoring.lo : 0;
    if (injected !== 0 && (cutOff === 0 || typeOf(cutOff) !== typeOf(injected))) this.#acknowledge(injected);
    if (cutOff === 0 || (isChosenAnew(cutOff) && !this.#apic.offload.enabled)) this.#info = 0;
    else this.#queue(cutOff, idtVectoring.hi, instructionLength);
    this.#written = 0;
  }

  #acknowledge(info: number): void {
    if (isExternal(info)) {
      if (!this.#apic.offload.enabled) this.#apic.acknowledge(info & InterruptionInfo.VectorMask);
    } else if (typeOf(info) === InterruptionType.Nmi) {
      this.#nmi = false;
    }
  }

  save(): PendingEventsState {
    return { info: this.#info, errorCode: this.#errorCode, instructionLength: this.#instructionLength, written: this.#written, nmi: this.#nmi, offered: this.#offered };
  }

  restore({ info, errorCode, instructionLength, written, nmi, offered }: PendingEventsState): void {
    this.#queue(info, errorCode, instructionLength);
    this.#written = written;
    this.#nmi = nmi;
    this.#offered = offered;
  }

  /** The VTL starts over: nothing is on its way into it. */
  reset(): void {
    this.#queue(0, 0, 0);
    this.#nmi = false;
    this.#offered = -1;
  }

  /** Vector of the event that is queued for the next entry, −1 for none. */
  get pendingVector(): number {
    return this.#info === 0 ? -1 : this.#info & InterruptionInfo.VectorMask;
  }

  /**
   * Whether an NMI, or an interrupt above the priority of the task and of what is in service, waits and no shadow blocks it; with `checkRflags` an
   * interrupt only counts while RFLAGS.IF is set.
   */
  isInterruptPending(checkRflags: boolean): boolean {
    if (this.#nmi) return true;
    const { rvi, svi, rflags } = this.#registers;
    const offloaded = this.#apic.offload.enabled;
    const vector = offloaded ? rvi : Math.max(this.#offered, 0);
    if (vector === 0 || (checkRflags && (rflags.lo & RFLAGS_IF) === 0) || (this.#interruptibility() & SHADOW) !== 0) return false;
    const priority = Math.max(this.#taskPriority.readCr8(), offloaded ? svi >>> CLASS_SHIFT : this.#apic.requests.servicePriority());
    return vector >>> CLASS_SHIFT > priority;
  }

  /** After a run that was cancelled: an entry that took the event in has cleared its valid bit. The remedy of injecting it a second time. */
  mayHaveEntered(): void {
    if (this.#written === 0 || (this.#vmcs.entryInterruptInfo.read().lo & InterruptionInfo.Valid) !== 0) return;
    this.#acknowledge(this.#written);
    this.#info = 0;
    this.#written = 0;
  }

  /** After HLT and a read of the guest-idle MSR; other instructions that user mode finishes leave a blocking by STI to the next (openvmm). */
  clearInterruptShadow(): void {
    this.#vmcs.interruptibility.clearBits(Interruptibility.BlockedBySti);
  }

  /** A round begins: no interrupt is offered yet. */
  startRound(): void {
    this.#offered = -1;
  }

  offerInterrupt(vector: number): void {
    this.#offered = vector;
  }

  offerNmi(): void {
    this.#nmi = true;
  }

  /** A hardware exception; `errorCode` below 0 means none. It replaces what is queued, an exception that was cut off included. */
  injectException(vector: number, errorCode: number): void {
    const hasErrorCode = errorCode >= 0;
    const type = InterruptionType.Exception << InterruptionInfo.TypeShift;
    this.#queue(vector | type | (hasErrorCode ? InterruptionInfo.ErrorCodeValid : 0) | InterruptionInfo.Valid, hasErrorCode ? errorCode : 0, 0);
  }

  #queue(info: number, errorCode: number, instructionLength: number): void {
    this.#info = info;
    this.#errorCode = errorCode;
    this.#instructionLength = instructionLength;
  }

  /** Before an entry: decides what it injects and which windows it asks for, and writes both to the VMCS. */
  resolve(): void {
    const offloaded = this.#apic.offload.enabled;
    if (isExternal(this.#info) && !offloaded) this.#info = 0;
    let windows = 0;
    let tprThreshold = 0;
    if (this.#nmi) {
      if (this.#canTakeNmi()) this.#queue(NMI_VECTOR | (InterruptionType.Nmi << InterruptionInfo.TypeShift) | InterruptionInfo.Valid, 0, 0);
      else windows |= ProcessorControl.NmiWindow;
    }
    if (this.#offered >= 0) {
      const priority = this.#offered >>> CLASS_SHIFT;
      if (!this.#canTakeInterrupt()) windows |= ProcessorControl.InterruptWindow;
      else if (this.#taskPriority.readCr8() >= priority) tprThreshold = priority;
      else this.#queue(this.#offered | (InterruptionType.External << InterruptionInfo.TypeShift) | InterruptionInfo.Valid, 0, 0);
    }
    this.#vmcs.tprThreshold.change(tprThreshold);
    const controls = this.#vmcs.processorControls;
    controls.change((controls.read().lo & ~(ProcessorControl.InterruptWindow | ProcessorControl.NmiWindow)) | windows);
    this.#write();
  }

  /** An interrupt that is to be injected again gives way, and is lost (openvmm). */
  #canTakeNmi(): boolean {
    return (this.#info === 0 || isExternal(this.#info)) && (this.#interruptibility() & (Interruptibility.BlockedByNmi | SHADOW)) === 0;
  }

  #canTakeInterrupt(): boolean {
    return this.#info === 0 && (this.#registers.rflags.lo & RFLAGS_IF) !== 0 && (this.#interruptibility() & SHADOW) === 0;
  }

  #interruptibility(): number {
    return this.#vmcs.interruptibility.read().lo;
  }

  /** Nothing to inject is written too, over an event that did not get in and is no longer wanted. */
  #write(): void {
    if (this.#info === 0 && this.#written === 0) return;
    const vmcs = this.#vmcs;
    if ((this.#info & InterruptionInfo.ErrorCodeValid) !== 0) vmcs.entryErrorCode.writeParts(this.#errorCode, 0);
    if (isSoftware(this.#info)) vmcs.entryInstructionLength.writeParts(this.#instructionLength, 0);
    vmcs.entryInterruptInfo.writeParts(this.#info, 0);
    this.#written = this.#info;
  }
}
