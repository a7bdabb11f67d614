/** Running a guest processor in virtual time. */
import { Costed, Stop } from '@paravisor/x86-cpu';
import type { Processor, ProcessorClock, ProcessorExit } from '@paravisor/x86-cpu';
import type { VpClock } from './clock.js';
import { GuestStop } from './contract.js';
import type { CostModel } from './cost.js';
import type { HostVp } from './host.js';
import type { Schedule } from './schedule.js';

/** Most instructions of one `Processor.run`. */
const MAX_BUDGET = 2 ** 28;

/** What running a guest in time needs of a processor. */
export type TimedProcessor = Pick<Processor, 'run' | 'retired'> & { readonly exit: Pick<ProcessorExit, 'kind'> };

/** The time one register context reads: its VP's clock, and what the context has retired since the clock was last advanced. */
export class ContextClock implements ProcessorClock {
  readonly #clock: VpClock;
  #processor: TimedProcessor | undefined;
  /** Instructions of the context that the clock accounts for. */
  #accounted = 0;

  constructor(clock: VpClock) {
    this.#clock = clock;
  }

  /** Once, when the processor is made. */
  attach(processor: TimedProcessor): void {
    this.#processor = processor;
    this.#accounted = processor.retired;
  }

  ticks(): number {
    return this.#clock.after(this.#processor!.retired - this.#accounted);
  }

  /** Advances the VP's clock by what the context has retired. */
  settle(): void {
    const { retired } = this.#processor!;
    this.#clock.advance(retired - this.#accounted);
    this.#accounted = retired;
  }
}

/** What `runGuest` needs of a VP. */
export interface GuestRunParts {
  readonly clock: VpClock;
  readonly host: HostVp;
  readonly schedule: Schedule;
  readonly costs: CostModel;
}

/** See `VpMachine.runGuest`. */
export function runGuest(parts: GuestRunParts, processor: TimedProcessor, time: ContextClock, deadlineTicks: number): GuestStop {
  const { clock, host, schedule } = parts;
  for (;;) {
    schedule.happenDue();
    if (host.vtl2InterruptPending) return GuestStop.Vtl2Interrupt;
    if (clock.now >= deadlineTicks) return GuestStop.Deadline;
    if (schedule.stopped || clock.now > schedule.limit) return GuestStop.Horizon;
    const { nextTime } = schedule.events;
    // An event of the past waits for another VP's clock: it does not stop this one, the limit does.
    const target = Math.min(deadlineTicks, nextTime > clock.now ? nextTime : Infinity, schedule.limit + 1);
    const stop = processor.run(clock.instructionsUntil(target, MAX_BUDGET));
    time.settle();
    switch (stop) {
      case Stop.Budget:
        break;
      case Stop.Costed:
        clock.charge(costOf(parts.costs, processor.exit.kind));
        break;
      case Stop.Intercept:
        return GuestStop.Intercept;
      case Stop.Halted:
        return GuestStop.Halted;
      case Stop.Shutdown:
        return GuestStop.Shutdown;
    }
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
    default:
      throw new Error(`the processor reports a cost of unknown kind ${kind}`);
  }
}
