/**
 * Events on their way into a lower VTL: at most one is injected by an entry; for others the entry asks to exit as soon as the guest could take one.
 * This is delivery without virtual-interrupt delivery. A VTL whose APIC is offloaded gets its fixed interrupts through the APIC page instead, and would
 * use this part for exceptions and NMIs only.
 */
import { InterruptionInfo, InterruptionType, Interruptibility, ProcessorControl } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { LocalApic } from '@paravisor/virt-core';
import type { LowerVtl } from './lower-vtl.js';

const RFLAGS_IF = 1 << 9;
const NMI_VECTOR = 2;
const SHADOW = Interruptibility.BlockedBySti | Interruptibility.BlockedByMovSs;
/** Vectors of software exceptions: their RIP has to be moved over the instruction. */
const isSoftware = (info: number): boolean => {
  const type = (info & InterruptionInfo.TypeMask) >> InterruptionInfo.TypeShift;
  return type >= InterruptionType.SoftwareInterrupt;
};

export class PendingEvents {
  readonly #vtl: LowerVtl;
  readonly #apic: LocalApic;
  /** The event the next entry injects, as VM-entry interruption information; 0 for none. */
  #info = 0;
  #errorCode = 0;
  #instructionLength = 0;
  /** The VMCS has it already: the last run was cancelled, or refused. */
  #written = false;
  /** What the last exit cut off. */
  #cutOffInfo = 0;
  #cutOffErrorCode = 0;
  #cutOffLength = 0;
  #nmi = false;
  /** Vector the APIC offers in this round, −1 for none. */
  #offered = -1;

  constructor(vtl: LowerVtl, apic: LocalApic) {
    this.#vtl = vtl;
    this.#apic = apic;
  }

  /** A lower VTL was entered: the event is delivered, or is in `idtVectoring` (exit_info.r10). `instructionLength` belongs to the latter. */
  entered(idtVectoring: ReadonlyU64, instructionLength: number): void {
    this.#info = 0;
    this.#written = false;
    this.#cutOffInfo = (idtVectoring.lo & InterruptionInfo.Valid) !== 0 ? idtVectoring.lo : 0;
    this.#cutOffErrorCode = idtVectoring.hi;
    this.#cutOffLength = instructionLength;
  }

  /** A round begins: no interrupt is offered yet. */
  startRound(): void {
    this.#offered = -1;
  }

  /** What the last exit cut off is injected again, before anything else (openvmm counts it as `needs_interrupt_reinject`). */
  reinject(): void {
    if (this.#cutOffInfo === 0) return;
    this.#queue(this.#cutOffInfo, this.#cutOffErrorCode, this.#cutOffLength);
    this.#cutOffInfo = 0;
  }

  offerInterrupt(vector: number): void {
    this.#offered = vector;
  }

  offerNmi(): void {
    this.#nmi = true;
  }

  /** A hardware exception; `errorCode` below 0 means none. */
  injectException(vector: number, errorCode: number): void {
    const hasErrorCode = errorCode >= 0;
    const type = InterruptionType.Exception << InterruptionInfo.TypeShift;
    this.#queue(vector | type | (hasErrorCode ? InterruptionInfo.ErrorCodeValid : 0) | InterruptionInfo.Valid, hasErrorCode ? errorCode : 0, 0);
  }

  #queue(info: number, errorCode: number, instructionLength: number): void {
    this.#info = info;
    this.#errorCode = errorCode;
    this.#instructionLength = instructionLength;
    this.#written = false;
  }

  /** Before an entry: decides what it injects and which windows it asks for, and writes both to the VMCS. */
  resolve(): void {
    let windows = 0;
    if (this.#nmi) {
      if (this.#canTakeNmi()) this.#injectNmi();
      else windows |= ProcessorControl.NmiWindow;
    }
    if (this.#offered >= 0) {
      if (this.#canTakeInterrupt()) this.#injectInterrupt();
      else windows |= ProcessorControl.InterruptWindow;
    }
    const controls = this.#vtl.vmcs.processorControls;
    controls.change((controls.read().lo & ~(ProcessorControl.InterruptWindow | ProcessorControl.NmiWindow)) | windows);
    this.#write();
  }

  #canTakeNmi(): boolean {
    return this.#info === 0 && (this.#interruptibility() & (Interruptibility.BlockedByNmi | SHADOW)) === 0;
  }

  #canTakeInterrupt(): boolean {
    return this.#info === 0 && (this.#vtl.registers.rflags.lo & RFLAGS_IF) !== 0 && (this.#interruptibility() & SHADOW) === 0;
  }

  /** The guest's interruptibility, without the shadow of an instruction that user mode has finished meanwhile. */
  #interruptibility(): number {
    const field = this.#vtl.vmcs.interruptibility;
    const value = field.read().lo;
    if (!this.#vtl.shadowIsOver || (value & SHADOW) === 0) return value;
    field.writeParts(value & ~SHADOW, 0);
    return value & ~SHADOW;
  }

  #injectNmi(): void {
    this.#nmi = false;
    this.#queue(NMI_VECTOR | (InterruptionType.Nmi << InterruptionInfo.TypeShift) | InterruptionInfo.Valid, 0, 0);
  }

  #injectInterrupt(): void {
    this.#apic.acknowledge(this.#offered);
    this.#queue(this.#offered | (InterruptionType.External << InterruptionInfo.TypeShift) | InterruptionInfo.Valid, 0, 0);
    this.#offered = -1;
  }

  #write(): void {
    if (this.#info === 0 || this.#written) return;
    const { vmcs } = this.#vtl;
    if ((this.#info & InterruptionInfo.ErrorCodeValid) !== 0) vmcs.entryErrorCode.writeParts(this.#errorCode, 0);
    if (isSoftware(this.#info)) vmcs.entryInstructionLength.writeParts(this.#instructionLength, 0);
    vmcs.entryInterruptInfo.writeParts(this.#info, 0);
    this.#written = true;
  }
}
