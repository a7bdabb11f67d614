/**
 * Events on their way into a lower VTL. An entry injects one at most; for others it asks to come back as soon as the guest could take them (SDM volume 3,
 * 25.6.1 and 27.6).
 */
import { Interruptibility, InterruptionInfo, InterruptionType, ProcessorControl } from '@paravisor/hcl-protocol';
import type { LocalApic } from '@paravisor/virt-core';
import type { ExampleExit, VtlState } from '../abi/context.js';

const RFLAGS_IF = 1 << 9;
const NMI_VECTOR = 2;
const SHADOW = Interruptibility.BlockedBySti | Interruptibility.BlockedByMovSs;

const infoOf = (type: number, vector: number): number => InterruptionInfo.Valid | (type << InterruptionInfo.TypeShift) | vector;
const typeOf = (info: number): number => (info & InterruptionInfo.TypeMask) >>> InterruptionInfo.TypeShift;

export class PendingEvents {
  readonly #state: VtlState;
  readonly #apic: LocalApic;
  /** An exception, raised by the paravisor or cut off by an exit: `InterruptionInfo`, 0 for none. */
  #exception = 0;
  #errorCode = 0;
  #instructionLength = 0;
  #nmi = false;
  /** The vector the APIC offers in this round, −1 for none. */
  #offered = -1;
  /** What the next entry, or the last, injects. */
  #chosen = 0;

  constructor(state: VtlState, apic: LocalApic) {
    this.#state = state;
    this.#apic = apic;
  }

  /** INIT, or the first start: nothing of what was pending counts any more. */
  reset(): void {
    this.#exception = 0;
    this.#nmi = false;
    this.#offered = -1;
    this.#chosen = 0;
  }

  /** A round begins: the APIC has offered nothing yet. */
  startRound(): void {
    this.#offered = -1;
  }

  offerInterrupt(vector: number): void {
    this.#offered = vector;
  }

  offerNmi(): void {
    this.#nmi = true;
  }

  /** An NMI, or an interrupt above the guest's task priority, waits; with `checkRflags` the guest lets interrupts in. */
  isPending(checkRflags: boolean): boolean {
    return this.#nmi || (this.#isAbovePriority() && (!checkRflags || (this.#state.rflags.lo & RFLAGS_IF) !== 0));
  }

  /** The vector the next entry injects as things stand, −1 for none. */
  get nextVector(): number {
    const next = this.#choice();
    return next === 0 ? -1 : next & InterruptionInfo.VectorMask;
  }

  /** `errorCode` below 0 means none. */
  injectException(vector: number, errorCode: number): void {
    this.#exception = infoOf(InterruptionType.Exception, vector) | (errorCode < 0 ? 0 : InterruptionInfo.ErrorCodeValid);
    this.#errorCode = Math.max(errorCode, 0);
    this.#instructionLength = 0;
  }

  /** Whether the offered interrupt is above the guest's task priority. A write of it exits, so the next round asks again. */
  #isAbovePriority(): boolean {
    return this.#offered >>> 4 > this.#state.cr8.lo && this.#offered >= 0;
  }

  /** What an entry now would inject; 0 for nothing. An interrupt or NMI is chosen anew each time. */
  #choice(): number {
    const { interruptibility, rflags } = this.#state;
    if (this.#exception !== 0) return this.#exception;
    if ((interruptibility & SHADOW) !== 0) return 0;
    if (this.#nmi && (interruptibility & Interruptibility.BlockedByNmi) === 0) return infoOf(InterruptionType.Nmi, NMI_VECTOR);
    return this.#isAbovePriority() && (rflags.lo & RFLAGS_IF) !== 0 ? infoOf(InterruptionType.External, this.#offered) : 0;
  }

  /** Before an entry: what it injects, and at which windows it is to come back for the rest. */
  choose(): void {
    const state = this.#state;
    const chosen = this.#choice();
    const type = chosen === 0 ? -1 : typeOf(chosen);
    const nmiWaits = this.#nmi && type !== InterruptionType.Nmi;
    const interruptWaits = this.#isAbovePriority() && type !== InterruptionType.External;
    state.windows = (nmiWaits ? ProcessorControl.NmiWindow : 0) | (interruptWaits ? ProcessorControl.InterruptWindow : 0);
    state.entryInfo = chosen;
    state.entryErrorCode = this.#errorCode;
    state.entryInstructionLength = this.#instructionLength;
    this.#chosen = chosen;
  }

  /** The lower VTL was entered and has exited: what it was given is delivered, unless the exit cut it off. */
  entered({ idtVectoring, idtVectoringErrorCode, instructionLength }: ExampleExit): void {
    const cutOff = idtVectoring & InterruptionInfo.Valid ? idtVectoring : 0;
    const chosen = this.#chosen;
    this.#chosen = 0;
    if (chosen !== 0 && (cutOff === 0 || typeOf(cutOff) !== typeOf(chosen))) this.#delivered(chosen);
    if (cutOff === 0 || typeOf(cutOff) === InterruptionType.External || typeOf(cutOff) === InterruptionType.Nmi) return;
    this.#exception = cutOff;
    this.#errorCode = idtVectoringErrorCode;
    this.#instructionLength = instructionLength;
  }

  #delivered(info: number): void {
    switch (typeOf(info)) {
      case InterruptionType.External:
        return this.#apic.acknowledge(info & InterruptionInfo.VectorMask);
      case InterruptionType.Nmi:
        this.#nmi = false;
        return;
      default:
        this.#exception = 0;
    }
  }

  save(): PendingEventsState {
    return [this.#exception, this.#errorCode, this.#instructionLength, this.#nmi ? 1 : 0, this.#offered, this.#chosen];
  }

  restore([exception, errorCode, instructionLength, nmi, offered, chosen]: PendingEventsState): void {
    this.#exception = exception;
    this.#errorCode = errorCode;
    this.#instructionLength = instructionLength;
    this.#nmi = nmi !== 0;
    this.#offered = offered;
    this.#chosen = chosen;
  }
}

/** `PendingEvents` as plain data. */
export type PendingEventsState = readonly [exception: number, errorCode: number, instructionLength: number, nmi: number, offered: number, chosen: number];
