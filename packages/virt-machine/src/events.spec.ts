import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventKind, EventQueue, MachineEvent } from './events.js';

describe('EventQueue', () => {
  it('lets events of one tick happen in the order (time, kind, VP, sequence) (architecture.md, Time)', () => {
    const queue = new EventQueue();
    const seen: string[] = [];
    const event = (name: string, kind: EventKind, vp: number) => new MachineEvent(kind, vp, () => void seen.push(name));
    queue.schedule(event('end', EventKind.Partition, 0), 10);
    queue.schedule(event('interrupt of VP 0', EventKind.HostInterrupt, 0), 10);
    queue.schedule(event('timer of VP 1', EventKind.HostTimer, 1), 10);
    queue.schedule(event('timer of VP 0', EventKind.HostTimer, 0), 10);
    queue.schedule(event('second timer of VP 0', EventKind.HostTimer, 0), 10);
    queue.schedule(event('earlier', EventKind.Partition, 0), 9);
    while (queue.happenNext(10));
    expect(seen).toEqual(['earlier', 'timer of VP 0', 'second timer of VP 0', 'timer of VP 1', 'interrupt of VP 0', 'end']);
  });

  it('lets nothing happen before its time', () => {
    const queue = new EventQueue();
    let happened = 0;
    queue.schedule(new MachineEvent(EventKind.Partition, 0, () => happened++), 10);
    expect(queue.happenNext(9)).toBe(false);
    expect(queue.nextTime).toBe(10);
    expect(queue.happenNext(10)).toBe(true);
    expect(happened).toBe(1);
    expect(queue.nextTime).toBe(Infinity);
    expect(queue.happenNext(Infinity)).toBe(false);
  });

  it('agrees with a sorted list, whatever is scheduled, moved and cancelled', () => {
    const step = fc.record({ event: fc.nat(9), time: fc.option(fc.nat(20), { nil: Infinity }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new EventQueue();
        const order: number[] = [];
        const events = Array.from({ length: 10 }, (_, n) => new MachineEvent((n % 3) as EventKind, n % 2, () => void order.push(n)));
        const model = new Map<number, { time: number; sequence: number }>();
        for (const [sequence, { event, time }] of steps.entries()) {
          queue.schedule(events[event]!, time);
          if (time === Infinity) model.delete(event);
          else model.set(event, { time, sequence });
        }
        expect(queue.size).toBe(model.size);
        while (queue.happenNext(Infinity));
        const expected = [...model].sort(([a, x], [b, y]) => x.time - y.time || (a % 3) - (b % 3) || (a % 2) - (b % 2) || x.sequence - y.sequence);
        expect(order).toEqual(expected.map(([event]) => event));
      }),
    );
  });

  it('lets an event schedule itself again while it happens', () => {
    const queue = new EventQueue();
    const times: number[] = [];
    const event: MachineEvent = new MachineEvent(EventKind.HostTimer, 0, (time) => {
      times.push(time);
      if (time < 30) queue.schedule(event, time + 10);
    });
    queue.schedule(event, 10);
    while (queue.happenNext(100));
    expect(times).toEqual([10, 20, 30]);
  });
});
