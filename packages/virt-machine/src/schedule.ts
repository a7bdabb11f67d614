/** Whose turn it is: the runnable VP with the smallest clock, events in their order between the VPs' runs. */
import type { VpClock } from './clock.js';
import { EventKind, MachineEvent } from './events.js';
import type { EventQueue } from './events.js';
import type { HostVp } from './host.js';

/** What the schedule knows of a VP. */
export interface ScheduledVp {
  readonly clock: VpClock;
  readonly host: HostVp;
}

/** What the schedule is made of. */
export interface ScheduleParts {
  readonly vps: readonly ScheduledVp[];
  readonly events: EventQueue;
  /** How many ticks a running VP may be ahead of the next. */
  readonly quantumTicks: number;
  /** Permutes the order of VPs whose clocks are equal. */
  readonly seed: number;
}

export type ScheduleState = {
  readonly current: number;
  readonly cutShort: boolean;
};

/** What `Schedule.horizon` gives when the current VP may not run on. */
export const HOLD = -1;

/**
 * Virtual time of the whole machine. A VP whose VTL2 has halted and has no interrupt pending is idle: it is not runnable, and its clock is skipped
 * ahead to what wakes it. An event happens when no runnable VP is behind it.
 */
export class Schedule {
  readonly events: EventQueue;
  readonly #vps: readonly ScheduledVp[];
  readonly #quantum: number;
  /** VP indices in the order in which equal clocks are served. */
  readonly #order: readonly number[];
  /** The VP whose turn it is. */
  current = 0;
  /** The smallest clock among the runnable others; Infinity when there is none. */
  earliestOther = Infinity;
  /** The machine runs no further. */
  stopped = false;
  /** The machine stands still when no VP that can run is behind this tick. */
  #pauseAt = Infinity;
  /** Between `nextVp` and the next call of it. */
  #inTurn = false;
  /** A pause came in the turn of the current VP, which goes on first. */
  #cutShort = false;

  constructor(parts: ScheduleParts) {
    this.events = parts.events;
    this.#vps = parts.vps;
    this.#quantum = parts.quantumTicks;
    this.#order = permutation(parts.vps.length, parts.seed);
  }

  /**
   * The tick up to which the current VP, whose clock stands at `now`, may run a guest at once; `HOLD` when it may not run on. A pause that is ahead ends
   * no turn: a VP that may go on does.
   */
  horizon(now: number): number {
    const { earliestOther } = this;
    const { nextTime } = this.events;
    const pauseAt = this.#pauseAt;
    const limit = earliestOther + this.#quantum;
    // What is due and has not happened waits for another VP to come up to it.
    if (this.stopped || pauseAt <= Math.min(now, earliestOther) || now > limit || nextTime <= now) return HOLD;
    const end = Math.min(nextTime, limit + 1);
    return pauseAt > now ? Math.min(end, pauseAt) : end;
  }

  /** Whether the current VP is to run no guest and skip no time for now. */
  get holdsStill(): boolean {
    return this.stopped || this.#pauseAt <= Math.min(this.#vps[this.current]!.clock.now, this.earliestOther);
  }

  /**
   * Lets the machine stand still once no VP that can run is behind the absolute tick `tick`; Infinity ends a pause. Nothing comes out differently for it:
   * it is no event, VPs take turns as ever, and the VP whose turn it is keeps it.
   */
  pauseAt(tick: number): void {
    this.#pauseAt = tick;
  }

  /**
   * The VP that is to run next, after letting happen what comes before; −1 when the machine stands still, or when every VP is idle and nothing will ever
   * happen.
   */
  nextVp(): number {
    if (this.stopped) return -1;
    if (this.#inTurn && this.holdsStill) this.#cutShort = true;
    if (this.#cutShort) {
      if (this.holdsStill) return -1;
      // Had the turn ended anyway, the VP finds so by itself.
      this.#cutShort = false;
      this.#inTurn = true;
      this.#lookAtOthers();
      return this.current;
    }
    this.#inTurn = false;
    for (;;) {
      if (this.stopped) return -1;
      const first = this.#earliest(-1);
      const until = first < 0 ? this.events.nextTime : this.#vps[first]!.clock.now;
      if (first >= 0 && this.events.happenNext(until)) continue;
      if (until >= this.#pauseAt) return -1;
      if (first < 0) {
        for (const { clock } of this.#vps) if (until !== Infinity) clock.skipTo(until);
        if (!this.events.happenNext(until)) return -1;
        continue;
      }
      this.current = first;
      this.#inTurn = true;
      this.#lookAtOthers();
      return first;
    }
  }

  /** Lets happen what is due at the clock of the current VP, as far as no other VP is behind it. */
  happenDue(): void {
    const { now } = this.#vps[this.current]!.clock;
    if (this.events.nextTime > now) return;
    while (!this.stopped && this.events.happenNext(Math.min(this.#vps[this.current]!.clock.now, this.earliestOther))) this.#lookAtOthers();
  }

  /**
   * The current VP is idle: skips its time to the next event and lets that happen. False when others are to run first, the machine stands still, or
   * nothing will ever happen.
   */
  skipIdle(): boolean {
    const time = this.events.nextTime;
    if (this.stopped || time === Infinity || this.earliestOther !== Infinity) return false;
    if (time >= this.#pauseAt) {
      this.#vps[this.current]!.clock.skipTo(this.#pauseAt);
      return false;
    }
    this.#vps[this.current]!.clock.skipTo(time);
    this.events.happenNext(time);
    this.#lookAtOthers();
    return true;
  }

  /** Whether a runnable VP is behind the current one. */
  isAhead(): boolean {
    return this.#vps[this.current]!.clock.now > this.earliestOther;
  }

  /** Calls `happen` at the first point of the machine's run at or past the absolute tick `time`. */
  at(time: number, happen: (time: number) => void): MachineEvent {
    const event = new MachineEvent(EventKind.Partition, 0, happen);
    this.events.schedule(event, time);
    return event;
  }

  save(): ScheduleState {
    return { current: this.current, cutShort: this.#cutShort };
  }

  /** The clocks and hosts of all VPs have been restored before. */
  restore({ current, cutShort }: ScheduleState): void {
    this.current = current;
    this.#cutShort = cutShort;
    this.#inTurn = cutShort;
    this.#lookAtOthers();
  }

  #lookAtOthers(): void {
    if (this.#vps.length === 1) return;
    const other = this.#earliest(this.current);
    this.earliestOther = other < 0 ? Infinity : this.#vps[other]!.clock.now;
  }

  /** The runnable VP with the smallest clock, leaving `except` out; −1 for none. */
  #earliest(except: number): number {
    let earliest = -1;
    for (const index of this.#order) {
      const { host, clock } = this.#vps[index]!;
      if (index === except || (host.halted && !host.vtl2InterruptPending)) continue;
      if (earliest < 0 || clock.now < this.#vps[earliest]!.clock.now) earliest = index;
    }
    return earliest;
  }
}

/** The numbers below `count`, shuffled by `seed`; seed 0 leaves them in order. xorshift32 (Marsaglia) drives a Fisher–Yates shuffle. */
function permutation(count: number, seed: number): readonly number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  let state = seed | 0;
  if (state === 0) return order;
  for (let last = count - 1; last > 0; last--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const other = (state >>> 0) % (last + 1);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
