import { Costed, Stop } from '@paravisor/x86-cpu';
import { beforeEach, describe, expect, it } from 'vitest';
import { VpClock } from './clock.js';
import { GuestStop } from './contract.js';
import { silentMachineObserver } from './observer.js';
import { defaultCosts } from './cost.js';
import { EventQueue } from './events.js';
import { ContextClock, GuestRun } from './guest-run.js';
import type { TimedProcessor } from './guest-run.js';
import { HostVp } from './host.js';
import { Ledger } from './ledger.js';
import { Schedule } from './schedule.js';

/** A guest whose n-th instruction (from 1) does what `program` says, and nothing elsewhere. */
class CountingGuest implements TimedProcessor {
  retired = 0;
  readonly exit = { kind: 0 };
  readonly program = new Map<number, 'rdtsc' | 'intercept' | 'halt' | 'triple fault'>();
  /** Budgets it was given, and times it read. */
  readonly budgets: number[] = [];
  readonly times: number[] = [];
  readonly #ticks: () => number;

  constructor(ticks: () => number) {
    this.#ticks = ticks;
  }

  run(max: number): Stop {
    this.budgets.push(max);
    for (let n = 0; n < max; n++) {
      switch (this.program.get(this.retired + 1)) {
        case 'intercept':
          return Stop.Intercept;
        case 'triple fault':
          return Stop.Shutdown;
        case 'rdtsc':
          this.times.push(this.#ticks());
          this.retired++;
          this.exit.kind = Costed.Rdtsc;
          return Stop.Costed;
        case 'halt':
          this.retired++;
          return Stop.Halted;
        default:
          this.retired++;
      }
    }
    return Stop.Budget;
  }
}

const TSC_HZ = 1000;
const IPS = 10;
/** Ticks an instruction takes. */
const STEP = TSC_HZ / IPS;

let clock: VpClock;
let host: HostVp;
let schedule: Schedule;
let guest: CountingGuest;
let run: (deadline: number) => GuestStop;

beforeEach(() => {
  clock = new VpClock(TSC_HZ, IPS);
  const events = new EventQueue();
  const ledger = new Ledger(1, silentMachineObserver, []);
  host = new HostVp({ index: 0, clock, events, ledger, costs: defaultCosts, observer: silentMachineObserver });
  schedule = new Schedule({ vps: [{ clock, host }], events, quantumTicks: 0, seed: 0 });
  const time = new ContextClock(clock, schedule);
  guest = new CountingGuest(() => time.ticks());
  time.attach(guest);
  const runs = new GuestRun({ clock, host, schedule, costs: defaultCosts });
  run = (deadline) => runs.run(guest, time, deadline);
});

describe('running a guest in virtual time (architecture.md, Time)', () => {
  it('stops for a deadline on the first instruction boundary at or past it', () => {
    expect(run(10 * STEP + 1)).toBe(GuestStop.Deadline);
    expect(guest.retired).toBe(11);
    expect(clock.now).toBe(11 * STEP);
  });

  it('runs no instruction when the deadline has passed', () => {
    clock.charge(500);
    expect(run(500)).toBe(GuestStop.Deadline);
    expect(run(0)).toBe(GuestStop.Deadline);
    expect(guest.budgets).toEqual([]);
  });

  it('prefers the deadline to an intercept of the instruction behind the boundary', () => {
    guest.program.set(11, 'intercept');
    expect(run(10 * STEP)).toBe(GuestStop.Deadline);
    expect(run(11 * STEP)).toBe(GuestStop.Intercept);
    expect(guest.retired).toBe(10);
  });

  it('stops for the host timer at its tick, before any deadline that comes then', () => {
    host.armClockEvent(20_000);
    expect(run(20_000)).toBe(GuestStop.Vtl2Interrupt);
    expect(guest.retired).toBe((20_000 - defaultCosts.ticks.hostTimerArm) / STEP);
    expect(run(Infinity)).toBe(GuestStop.Vtl2Interrupt);
    host.takeInterrupts();
    expect(run(0)).toBe(GuestStop.Deadline);
  });

  it('charges an instruction with a cost of its own after it has read the time, and runs on', () => {
    guest.program.set(3, 'rdtsc').set(5, 'rdtsc').set(8, 'halt');
    expect(run(Infinity)).toBe(GuestStop.Halted);
    expect(guest.times).toEqual([2 * STEP, 4 * STEP + defaultCosts.ticks.guestRdtsc]);
    expect(clock.now).toBe(8 * STEP + 2 * defaultCosts.ticks.guestRdtsc);
  });

  it('gives a triple fault no time', () => {
    guest.program.set(2, 'triple fault');
    expect(run(Infinity)).toBe(GuestStop.Shutdown);
    expect(clock.now).toBe(STEP);
  });

  it('ends at the horizon when the machine is stopped', () => {
    schedule.at(1000, () => (schedule.stopped = true));
    expect(run(Infinity)).toBe(GuestStop.Horizon);
    expect(clock.now).toBe(1000);
    expect(run(Infinity)).toBe(GuestStop.Horizon);
    expect(clock.now).toBe(1000);
  });

  it('never asks for more than 2^28 instructions at once', () => {
    guest.program.set(1, 'halt');
    run(Infinity);
    expect(guest.budgets).toEqual([2 ** 28]);
  });
});
