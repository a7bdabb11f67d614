/** Interrupts of the guest's that the host proxies through VTL2: asserted at the host, handed to VTL2 as a message (TLFS, proxy interrupt intercept). */
import { EventKind, MachineEvent } from './events.js';
import type { EventQueue, EventState } from './events.js';

/** 256 vectors in words. */
export const VECTOR_WORDS = 8;

interface Assertion {
  readonly tick: number;
  readonly vector: number;
}

export type ProxiedInterruptsState = {
  readonly ahead: readonly { readonly tick: number; readonly vector: number }[];
  readonly asserted: readonly number[];
  readonly event: EventState;
};

/** The proxied interrupts of one VP: those still to be asserted, and those that VTL2's kernel has not taken. */
export class ProxiedInterrupts {
  /** Vectors that are asserted, a bit each. */
  readonly asserted = new Uint32Array(VECTOR_WORDS);
  /** In the order of their ticks, those of one tick in the order in which they were asked for. */
  readonly #ahead: Assertion[] = [];
  readonly #event: MachineEvent;
  readonly #events: EventQueue;

  /** `interrupt` interrupts VTL2. */
  constructor(index: number, events: EventQueue, interrupt: (time: number) => void) {
    this.#events = events;
    this.#event = new MachineEvent(EventKind.HostInterrupt, index, (time) => {
      while (this.#ahead.length > 0 && this.#ahead[0]!.tick <= time) {
        const { vector } = this.#ahead.shift()!;
        this.asserted[vector >> 5]! |= 1 << (vector & 31);
      }
      interrupt(time);
      this.#scheduleNext();
    });
  }

  /** @throws {RangeError} for a vector above 255. */
  assertAt(vector: number, tick: number): void {
    if (!Number.isInteger(vector) || vector < 0 || vector > 255) throw new RangeError(`an interrupt vector is 0 to 255, not ${vector}`);
    const later = this.#ahead.findIndex((assertion) => assertion.tick > tick);
    this.#ahead.splice(later < 0 ? this.#ahead.length : later, 0, { tick, vector });
    this.#scheduleNext();
  }

  #scheduleNext(): void {
    const next = this.#ahead[0];
    if (next === undefined) return;
    if (!this.#event.queued || next.tick < this.#event.time) this.#events.schedule(this.#event, next.tick);
  }

  save(): ProxiedInterruptsState {
    return { ahead: this.#ahead.map(({ tick, vector }) => ({ tick, vector })), asserted: [...this.asserted], event: this.#events.save(this.#event) };
  }

  restore({ ahead, asserted, event }: ProxiedInterruptsState): void {
    this.#ahead.splice(0, this.#ahead.length, ...ahead);
    this.asserted.set(asserted);
    this.#events.restore(this.#event, event);
  }
}
