/** VTL2's synthetic timer at the host, its clock event device: one-shot, and as honest as the host. */
import { restoreTime, saveTime } from '@paravisor/hcl-protocol';
import type { VpClock } from './clock.js';
import { EventKind, MachineEvent } from './events.js';
import type { EventQueue, EventState } from './events.js';
import { hostTimerFigures } from './host-options.js';
import type { HostTimerManner } from './host-options.js';

const NS_A_SECOND = 1e9;

/** What a timer is made of. */
export interface HostTimerParts {
  readonly index: number;
  readonly clock: VpClock;
  readonly events: EventQueue;
  readonly manner: HostTimerManner;
  /** Interrupts VTL2 for an expiry, real or repeated. */
  readonly expire: (time: number) => void;
  /** Interrupts VTL2 although nothing has expired. */
  readonly interruptForNothing: (time: number) => void;
}

export type HostTimerState = {
  readonly expiry: number | null;
  readonly event: EventState;
  readonly extra: EventState;
};

export class HostTimer {
  readonly #parts: HostTimerParts;
  readonly #expiryEvent: MachineEvent;
  /** The repetition of an expiry, or the next interrupt of a flood. */
  readonly #extraEvent: MachineEvent;
  /** What VTL2 programmed, Infinity when nothing or when it was delivered. */
  #expiry = Infinity;

  constructor(parts: HostTimerParts) {
    this.#parts = parts;
    const { index, events } = parts;
    this.#expiryEvent = new MachineEvent(EventKind.HostTimer, index, (time) => this.#deliver(time));
    this.#extraEvent = new MachineEvent(EventKind.HostTimer, index, (time) => this.#deliverExtra(time));
    if (parts.manner === 'flood') events.schedule(this.#extraEvent, this.#ticks(hostTimerFigures.floodPeriodNs));
  }

  /** The tick for which VTL2 has programmed the timer, Infinity when it has expired since. A host that drops expiries leaves it. */
  get expiry(): number {
    return this.#expiry;
  }

  /** Programs an absolute tick, in place of what was programmed before; Infinity never comes. */
  program(expiry: number): void {
    const { events, manner } = this.#parts;
    this.#expiry = expiry;
    if (manner !== 'drop') events.schedule(this.#expiryEvent, manner === 'delay' ? expiry + this.#ticks(hostTimerFigures.delayNs) : expiry);
  }

  #deliver(time: number): void {
    const { events, manner, expire } = this.#parts;
    this.#expiry = Infinity;
    if (manner === 'repeat') events.schedule(this.#extraEvent, time + this.#ticks(hostTimerFigures.repeatAfterNs));
    expire(time);
  }

  #deliverExtra(time: number): void {
    const { events, manner, clock, expire, interruptForNothing } = this.#parts;
    if (manner === 'repeat') {
      expire(time);
      return;
    }
    interruptForNothing(time);
    // Counted from the clock behind the interrupt: a host that takes its time over one cannot be late for the next.
    events.schedule(this.#extraEvent, Math.max(time, clock.now) + this.#ticks(hostTimerFigures.floodPeriodNs));
  }

  #ticks(ns: number): number {
    return Math.ceil((ns * this.#parts.clock.tscHz) / NS_A_SECOND);
  }

  save(): HostTimerState {
    const { events } = this.#parts;
    return { expiry: saveTime(this.#expiry), event: events.save(this.#expiryEvent), extra: events.save(this.#extraEvent) };
  }

  restore({ expiry, event, extra }: HostTimerState): void {
    const { events } = this.#parts;
    this.#expiry = restoreTime(expiry);
    events.restore(this.#expiryEvent, event);
    events.restore(this.#extraEvent, extra);
  }
}
