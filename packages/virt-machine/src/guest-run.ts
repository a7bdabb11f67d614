/** Running a guest processor in virtual time. */
import { Costed, Stop } from '@paravisor/x86-cpu';
import type { Processor, ProcessorClock, ProcessorExit } from '@paravisor/x86-cpu';
import type { VpClock } from './clock.js';
import { GuestStop } from './contract.js';
import type { CostModel } from './cost.js';
import type { HostVp } from './host.js';
import { HOLD } from './schedule.js';
import type { Schedule } from './schedule.js';

/** Most instructions of one `Processor.run`. */
const MAX_BUDGET = 2 ** 28;

/** What running a guest in time needs of a processor. */
export type TimedProcessor = Pick<Processor, 'run' | 'retired'> & { readonly exit: Pick<ProcessorExit, 'kind'> };

/** The time one register context reads: its VP's clock, and what the context has retired since the clock was last advanced. */
export class ContextClock implements ProcessorClock {
  readonly #clock: VpClock;
  readonly #schedule: Schedule;
  #processor: TimedProcessor | undefined;
  /** Instructions of the context that the clock accounts for. */
  #accounted = 0;

  constructor(clock: VpClock, schedule: Schedule) {
    this.#clock = clock;
    this.#schedule = schedule;
  }

  /** When the processor is made, and when it was given a saved state. */
  attach(processor: TimedProcessor): void {
    this.#processor = processor;
    this.#accounted = processor.retired;
  }

  ticks(): number {
    return this.#clock.after(this.#processor!.retired - this.#accounted);
  }

  /** Not before the VPs that are behind have come up: what one VP read, no other may then read as the future. */
  readable(): boolean {
    return this.ticks() <= this.#schedule.earliestOther;
  }

  /** Advances the VP's clock by what the context has retired. */
  settle(): void {
    const { retired } = this.#processor!;
    this.#clock.advance(retired - this.#accounted);
    this.#accounted = retired;
  }
}

/** What running guests needs of a VP. */
export interface GuestRunParts {
  readonly clock: VpClock;
  readonly host: HostVp;
  readonly schedule: Schedule;
  readonly costs: CostModel;
}

const NOTHING = -1;

/** The runs of one VP's guests, one at a time. */
export class GuestRun {
  readonly #clock: VpClock;
  readonly #host: HostVp;
  readonly #schedule: Schedule;
  readonly #costs: CostModel;
  /** How the last run ended, while a VP that is behind keeps it from being acted on. */
  #waiting = NOTHING;

  constructor(parts: GuestRunParts) {
    this.#clock = parts.clock;
    this.#host = parts.host;
    this.#schedule = parts.schedule;
    this.#costs = parts.costs;
  }

  /** See `VpMachine.runGuest`. */
  run(processor: TimedProcessor, time: ContextClock, deadlineTicks: number): GuestStop {
    if (this.#waiting !== NOTHING) return this.#leave(this.#waiting as GuestStop);
    const clock = this.#clock;
    const schedule = this.#schedule;
    for (;;) {
      schedule.happenDue();
      if (this.#host.vtl2InterruptPending) return GuestStop.Vtl2Interrupt;
      if (clock.now >= deadlineTicks) return GuestStop.Deadline;
      const horizon = schedule.horizon(clock.now);
      if (horizon === HOLD) return GuestStop.Horizon;
      const stop = processor.run(clock.instructionsUntil(Math.min(deadlineTicks, horizon), MAX_BUDGET));
      time.settle();
      switch (stop) {
        case Stop.Budget:
          break;
        case Stop.Costed:
          clock.charge(costOf(this.#costs, processor.exit.kind));
          break;
        case Stop.Unreadable:
          return GuestStop.Horizon;
        case Stop.Intercept:
          return this.#leave(GuestStop.Intercept);
        case Stop.Halted:
          return this.#leave(GuestStop.Halted);
        case Stop.Shutdown:
          return this.#leave(GuestStop.Shutdown);
      }
    }
  }

  /** What the guest itself ended the run by may reach other VPs: that waits until none is behind. */
  #leave(stop: GuestStop): GuestStop {
    const ahead = this.#schedule.isAhead();
    this.#waiting = ahead ? stop : NOTHING;
    return ahead ? GuestStop.Horizon : stop;
  }

  save(): number {
    return this.#waiting;
  }

  restore(waiting: number): void {
    this.#waiting = waiting;
  }
}

function costOf(costs: CostModel, kind: number): number {
  switch (kind) {
    case Costed.Rdtsc:
      return costs.ticks.guestRdtsc;
    case Costed.Pause:
      return costs.ticks.guestPause;
    case Costed.Cpuid:
      return costs.ticks.guestCpuid;
    case Costed.Wbinvd:
      return costs.ticks.guestWbinvd;
    case Costed.Event:
      return costs.ticks.guestEvent;
    default:
      throw new Error(`the processor reports a cost of unknown kind ${kind}`);
  }
}
