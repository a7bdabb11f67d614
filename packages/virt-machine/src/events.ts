/** Events in virtual time, in the order (time, kind, VP, sequence). */

/** Kinds in the order in which events of one tick happen. */
export const EventKind = {
  /** VTL2's synthetic timer expires at the host. */
  HostTimer: 0,
  /** The host interrupts VTL2 for another reason. */
  HostInterrupt: 1,
  /** Something of the whole partition, such as the end of the time it was given. */
  Partition: 2,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

const NOT_QUEUED = -1;

/** An event's place in the queue. */
export type EventState = null | { readonly time: number; readonly order: number };

/** One event, made once by its owner and scheduled as often as it likes; scheduling allocates nothing. */
export class MachineEvent {
  readonly kind: EventKind;
  /** The VP it happens to; 0 for events of the partition. */
  readonly vp: number;
  /** What happens, at its tick. It may schedule this event again. */
  readonly happen: (time: number) => void;
  /** Absolute tick; meaningful while queued. */
  time = 0;
  /** Kept by the queue. */
  sequence = 0;
  slot = NOT_QUEUED;

  constructor(kind: EventKind, vp: number, happen: (time: number) => void) {
    this.kind = kind;
    this.vp = vp;
    this.happen = happen;
  }

  get queued(): boolean {
    return this.slot !== NOT_QUEUED;
  }
}

/** A binary heap that knows where each event stands, so that any can be taken out. */
export class EventQueue {
  readonly #heap: MachineEvent[] = [];
  #sequence = 0;
  /** Tick of the next event, Infinity when there is none. */
  nextTime = Infinity;

  get size(): number {
    return this.#heap.length;
  }

  /** Puts `event` at absolute tick `time`, moving it if it is queued already. An infinite time takes it out. */
  schedule(event: MachineEvent, time: number): void {
    if (time === Infinity) {
      this.cancel(event);
      return;
    }
    event.time = time;
    event.sequence = this.#sequence++;
    if (!event.queued) {
      event.slot = this.#heap.length;
      this.#heap.push(event);
    }
    this.#settle(event);
  }

  /** Takes `event` out; does nothing when it is not queued. */
  cancel(event: MachineEvent): void {
    const { slot } = event;
    if (slot === NOT_QUEUED) return;
    event.slot = NOT_QUEUED;
    const last = this.#heap.pop()!;
    if (last !== event) {
      this.#place(last, slot);
      this.#settle(last);
    } else this.nextTime = this.#heap.length === 0 ? Infinity : this.#heap[0]!.time;
  }

  /** When a queued event is due, and how many queued events were scheduled before it; null when it is not queued. */
  save(event: MachineEvent): EventState {
    if (!event.queued) return null;
    return { time: event.time, order: this.#heap.filter(({ sequence }) => sequence < event.sequence).length };
  }

  /** Puts an event where it was, among the others that were queued with it: into a queue in which nothing was scheduled since it was made. */
  restore(event: MachineEvent, state: EventState): void {
    if (state === null) {
      this.cancel(event);
      return;
    }
    this.schedule(event, state.time);
    event.sequence = state.order;
    this.#sequence = Math.max(this.#sequence, state.order + 1);
    this.#settle(event);
  }

  /** Lets the first event happen if its tick is `until` or before. False when there is none. */
  happenNext(until: number): boolean {
    if (this.nextTime > until || this.#heap.length === 0) return false;
    const event = this.#heap[0]!;
    this.cancel(event);
    event.happen(event.time);
    return true;
  }

  #place(event: MachineEvent, slot: number): void {
    this.#heap[slot] = event;
    event.slot = slot;
  }

  /** Moves an event to where its time has it. */
  #settle(event: MachineEvent): void {
    this.#rise(event);
    this.#sink(event);
    this.nextTime = this.#heap[0]!.time;
  }

  #rise(event: MachineEvent): void {
    while (event.slot > 0) {
      const above = this.#heap[(event.slot - 1) >> 1]!;
      if (!precedes(event, above)) return;
      const { slot } = above;
      this.#place(above, event.slot);
      this.#place(event, slot);
    }
  }

  #sink(event: MachineEvent): void {
    for (;;) {
      const left = 2 * event.slot + 1;
      if (left >= this.#heap.length) return;
      let below = this.#heap[left]!;
      const right = this.#heap[left + 1];
      if (right !== undefined && precedes(right, below)) below = right;
      if (!precedes(below, event)) return;
      const { slot } = below;
      this.#place(below, event.slot);
      this.#place(event, slot);
    }
  }
}

/** Whether `a` happens before `b`. */
function precedes(a: MachineEvent, b: MachineEvent): boolean {
  if (a.time !== b.time) return a.time < b.time;
  if (a.kind !== b.kind) return a.kind < b.kind;
  if (a.vp !== b.vp) return a.vp < b.vp;
  return a.sequence < b.sequence;
}
