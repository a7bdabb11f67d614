import { describe, expect, it } from 'vitest';
import { VpClock } from './clock.js';
import { silentMachineObserver } from './observer.js';
import { defaultCosts } from './cost.js';
import { EventQueue } from './events.js';
import { HostVp } from './host.js';
import { Ledger } from './ledger.js';
import { HOLD, Schedule } from './schedule.js';

function machine(vpCount: number, seed = 0, quantumTicks = 0) {
  const events = new EventQueue();
  const ledger = new Ledger(vpCount, silentMachineObserver, []);
  const vps = Array.from({ length: vpCount }, (_, index) => {
    const clock = new VpClock(1000, 1000);
    return { clock, host: new HostVp({ index, clock, events, ledger, costs: defaultCosts, observer: silentMachineObserver }) };
  });
  return { vps, schedule: new Schedule({ vps, events, quantumTicks, seed }) };
}

/** The order in which VPs get their turn when each runs for ten ticks. */
function turns(vpCount: number, seed: number, count: number): number[] {
  const { vps, schedule } = machine(vpCount, seed);
  return Array.from({ length: count }, () => {
    const vp = schedule.nextVp();
    vps[vp]!.clock.advance(10);
    return vp;
  });
}

describe('whose turn it is (architecture.md: the runnable VP with the smallest clock)', () => {
  it('serves the smallest clock, ties by VP index', () => {
    expect(turns(3, 0, 6)).toEqual([0, 1, 2, 0, 1, 2]);
    const { vps, schedule } = machine(3);
    vps[0]!.clock.charge(100);
    vps[1]!.clock.charge(50);
    expect(schedule.nextVp()).toBe(2);
    expect(schedule.horizon(50)).toBe(51);
    expect(schedule.horizon(51)).toBe(HOLD);
  });

  it('permutes ties by the seed, the same way every time', () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const order = turns(3, seed, 6);
      expect(order).toEqual(turns(3, seed, 6));
      expect([...order].slice(0, 3).sort()).toEqual([0, 1, 2]);
      expect(order.slice(3)).toEqual(order.slice(0, 3));
      orders.add(order.join());
    }
    expect(orders.size).toBeGreaterThan(1);
  });

  it('lets a VP run a quantum ahead of the next', () => {
    const { vps, schedule } = machine(2, 0, 30);
    vps[1]!.clock.charge(10);
    schedule.nextVp();
    expect(schedule.horizon(40)).toBe(41);
    expect(schedule.horizon(41)).toBe(HOLD);
  });

  it('leaves a halted VP out until it is interrupted, then at the later of the two clocks', () => {
    const { vps, schedule } = machine(2);
    vps[1]!.host.halt();
    expect(schedule.nextVp()).toBe(0);
    expect(schedule.horizon(0)).toBe(Infinity);
    vps[0]!.clock.advance(50_000);
    vps[1]!.host.interruptVtl2(vps[0]!.clock.now);
    schedule.happenDue();
    expect(schedule.horizon(0)).toBe(vps[1]!.clock.now + 1);
    expect(vps[1]!.clock.now).toBe(50_000 + defaultCosts.ticks.hostInterrupt);
  });

  it('holds an event back until no runnable VP is behind it', () => {
    const { vps, schedule } = machine(2);
    const happened: number[] = [];
    schedule.at(100, (time) => void happened.push(time));
    expect(schedule.nextVp()).toBe(0);
    vps[0]!.clock.advance(200);
    schedule.happenDue();
    expect(happened).toEqual([]);
    expect(schedule.isAhead()).toBe(true);
    expect(schedule.nextVp()).toBe(1);
    vps[1]!.clock.advance(100);
    schedule.happenDue();
    expect(happened).toEqual([100]);
  });

  it('skips time when all VPs are idle, and ends when nothing is left to happen', () => {
    const { vps, schedule } = machine(2);
    for (const { host } of vps) host.halt();
    let happened = 0;
    schedule.at(1_000_000, () => happened++);
    expect(schedule.nextVp()).toBe(-1);
    expect(happened).toBe(1);
    expect(vps.map(({ clock }) => clock.now)).toEqual([1_000_000, 1_000_000]);
  });
});
