/** The sixteen synthetic interrupt sources and their message slots (TLFS "SynIC Message Pages"; openvmm `SintState`). */
import { HvMessageFlag, HvMessageType, SINT_COUNT, Sint, StateError, U64, hvMessageLayout, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine } from '@paravisor/hcl-protocol';
import { OverlayPage } from '../memory/index.js';
import type { OverlayPageState } from '../memory/index.js';

/** Where a SynIC's interrupts go: the staged requests of the same VP's and VTL's local APIC (a `LocalApic` is one). */
export interface SynicInterruptSink {
  /** `autoEoi`: the vector sets no ISR bit when it is taken. */
  requestSynicInterrupt(vector: number, autoEoi: boolean): void;
}

const SLOT_BYTES = hvMessageLayout.size;
const FLAGS_OFFSET = hvMessageLayout.fields.flags.offset;

export type SintsState = {
  readonly registers: readonly string[];
  readonly page: OverlayPageState;
  readonly pending: number;
  readonly ready: number;
};

/** SINT registers, the message page, and which slots are awaited or known to be free. Bit n of a mask is SINT n. */
export class SintState {
  readonly registers: readonly U64[] = Array.from({ length: SINT_COUNT }, () => new U64());
  /** The message page. */
  readonly page: OverlayPage;
  /** SINTs somebody has a message for, whose free slot is to be reported. */
  pending = 0;
  /** SINTs whose slot was seen free, and not used since; remembered also across moves of the message page. */
  ready = 0;
  readonly #interrupts: SynicInterruptSink;
  readonly #header = new U64();
  readonly #flags = new Uint8Array(1);

  constructor(memory: GuestMemoryLine, interrupts: SynicInterruptSink) {
    this.page = new OverlayPage(memory);
    this.#interrupts = interrupts;
    this.reset();
  }

  isMasked(sint: number): boolean {
    return (this.registers[sint]!.lo & Sint.Masked) !== 0;
  }

  /** The host serves this SINT, not the paravisor. */
  isProxied(sint: number): boolean {
    return (this.registers[sint]!.lo & Sint.Proxy) !== 0;
  }

  isPending(sint: number): boolean {
    return (this.pending & (1 << sint)) !== 0;
  }

  isReady(sint: number): boolean {
    return (this.ready & (1 << sint)) !== 0;
  }

  /** Whether the slot of `sint` can take a message. A full slot gets the message-pending flag, which makes the guest write EOM. */
  checkReady(sint: number): boolean {
    if (this.isReady(sint)) return true;
    const slot = sint * SLOT_BYTES;
    this.page.readU64(slot, this.#header);
    // Type in bits 31:0, payload size in 39:32, flags in 47:40.
    if (this.#header.lo !== HvMessageType.None) {
      const flags = (this.#header.hi >>> 8) & 0xff;
      if ((flags & HvMessageFlag.Pending) === 0) {
        this.#flags[0] = flags | HvMessageFlag.Pending;
        this.page.write(slot + FLAGS_OFFSET, this.#flags);
      }
      return false;
    }
    this.ready |= 1 << sint;
    return true;
  }

  /** Fills the slot, which the caller knows to be free, with a whole message, and raises the interrupt. */
  post(sint: number, message: Uint8Array): void {
    this.page.write(sint * SLOT_BYTES, message);
    this.ready &= ~(1 << sint);
    this.interrupt(sint);
  }

  /** Requests the SINT's vector; a polling SINT has none. */
  interrupt(sint: number): void {
    const register = this.registers[sint]!.lo;
    if ((register & Sint.Polling) === 0) this.#interrupts.requestSynicInterrupt(register & Sint.VectorMask, (register & Sint.AutoEoi) !== 0);
  }

  /** Requests a vector that is no SINT's: a direct-mode timer. */
  directInterrupt(vector: number): void {
    this.#interrupts.requestSynicInterrupt(vector, false);
  }

  reset(): void {
    for (const register of this.registers) register.setParts(Sint.Masked, 0);
    this.page.reset();
    this.pending = 0;
    this.ready = 0;
  }

  save(): SintsState {
    return { registers: this.registers.map(saveU64), page: this.page.save(), pending: this.pending, ready: this.ready };
  }

  /** @throws {StateError} for another number of SINTs. */
  restore(state: SintsState): void {
    if (state.registers.length !== SINT_COUNT) throw new StateError(`${SINT_COUNT} SINTs were to be restored, and ${state.registers.length} are there`);
    for (const [n, register] of this.registers.entries()) restoreU64(register, state.registers[n]!);
    this.page.restore(state.page);
    this.pending = state.pending;
    this.ready = state.ready;
  }
}
