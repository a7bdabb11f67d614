import { ExitDestination, ExitReason } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { VpClock } from './clock.js';
import { silentMachineObserver } from './observer.js';
import { defaultCosts } from './cost.js';
import { EventQueue } from './events.js';
import { HostVp, Vtl2Interrupt } from './host.js';
import { KernelTimers } from './kernel-timers.js';
import { Ledger } from './ledger.js';
import { OsTime } from './os-time.js';

const TSC_HZ = 2_000_000_000;

/** One CPU of the VTL2 kernel on its host: time moves by hand. */
function cpu() {
  const clock = new VpClock(TSC_HZ, TSC_HZ);
  const events = new EventQueue();
  const ledger = new Ledger(1, silentMachineObserver, []);
  const host = new HostVp({ index: 0, clock, events, ledger, costs: defaultCosts, observer: silentMachineObserver });
  const timers = new KernelTimers(clock, host, new OsTime(TSC_HZ));
  return {
    clock,
    host,
    timers,
    /** Lets time pass up to `tick`, the kernel taking every interrupt at once. */
    passTo(tick: number) {
      while (events.nextTime <= tick) {
        clock.skipTo(events.nextTime);
        events.happenNext(tick);
        if (host.takeInterrupts() & Vtl2Interrupt.ClockEvent) timers.interrupt();
      }
      clock.skipTo(tick);
    },
    exits: () => [ledger.countOf(ExitDestination.Hypervisor, ExitReason.timer_arm), ledger.countOf(ExitDestination.Hypervisor, ExitReason.timer_expiry)],
  };
}
const nothing = () => {};

describe('timers of the VTL2 kernel and their hypervisor exits [timer_arm, timer_expiry]', () => {
  it('a timer costs one exit to arm and one to expire (issue 2028)', () => {
    const { clock, timers, passTo, exits } = cpu();
    let expiredAt = 0;
    const timer = timers.create(() => (expiredAt = clock.now));
    timer.start(1_000_000);
    expect(exits()).toEqual([1, 0]);
    passTo(999_999);
    expect(expiredAt).toBe(0);
    passTo(2_000_000);
    expect(exits()).toEqual([1, 1]);
    expect(expiredAt).toBe(1_000_000 + defaultCosts.ticks.hostInterrupt);
    expect(timer.started).toBe(false);
  });

  it('arming an unchanged time programs nothing', () => {
    const { timers, exits } = cpu();
    const timer = timers.create(nothing);
    timer.start(1_000_000);
    timer.start(1_000_000);
    expect(exits()).toEqual([1, 0]);
  });

  it('moving the earliest timer programs the device once more, and the old expiry does not come', () => {
    const { timers, passTo, exits } = cpu();
    const timer = timers.create(nothing);
    timer.start(1_000_000);
    timer.start(3_000_000);
    passTo(2_000_000);
    expect(exits()).toEqual([2, 0]);
    passTo(4_000_000);
    expect(exits()).toEqual([2, 1]);
  });

  it('a cancelled timer leaves the device armed: the stale expiry is an exit and runs nothing (architecture.md, assumption)', () => {
    const { timers, passTo, exits } = cpu();
    let ran = 0;
    const timer = timers.create(() => ran++);
    timer.start(1_000_000);
    timer.cancel();
    timer.cancel();
    expect(exits()).toEqual([1, 0]);
    passTo(2_000_000);
    expect(exits()).toEqual([1, 1]);
    expect(ran).toBe(0);
  });

  it('a timer started after a cancel replaces what the device was armed for', () => {
    const { timers, passTo, exits } = cpu();
    const timer = timers.create(nothing);
    timer.start(1_000_000);
    timer.cancel();
    timer.start(3_000_000);
    passTo(4_000_000);
    expect(exits()).toEqual([2, 1]);
  });

  it('a later timer waits behind the earlier one, and is programmed when that has expired', () => {
    const { timers, passTo, exits } = cpu();
    const ran: string[] = [];
    const poll = timers.create(() => void ran.push('poll'));
    const halt = timers.create(() => void ran.push('halt'));
    poll.start(1_000_000);
    halt.start(2_000_000);
    expect(exits()).toEqual([1, 0]);
    passTo(1_500_000);
    expect(ran).toEqual(['poll']);
    expect(exits()).toEqual([2, 1]);
    passTo(3_000_000);
    expect(ran).toEqual(['poll', 'halt']);
    expect(exits()).toEqual([2, 2]);
  });

  it('cancelling the earlier of two programs the device for the later', () => {
    const { timers, passTo, exits } = cpu();
    const poll = timers.create(nothing);
    const halt = timers.create(nothing);
    poll.start(2_000_000);
    halt.start(1_000_000);
    expect(exits()).toEqual([2, 0]);
    halt.cancel();
    expect(exits()).toEqual([3, 0]);
    passTo(3_000_000);
    expect(exits()).toEqual([3, 1]);
  });

  it('a timer that starts another in its expiry programs the device once', () => {
    const { timers, passTo, exits } = cpu();
    const other = timers.create(nothing);
    const third = timers.create(nothing);
    timers
      .create(() => {
        other.start(3_000_000);
        third.start(2_000_000);
      })
      .start(1_000_000);
    passTo(1_500_000);
    expect(exits()).toEqual([2, 1]);
  });

  it('a timer in the past expires at once, through the device', () => {
    const { clock, timers, passTo, exits } = cpu();
    clock.skipTo(5_000_000);
    let ran = 0;
    timers.create(() => ran++).start(1_000_000);
    expect(ran).toBe(0);
    passTo(clock.now);
    expect(ran).toBe(1);
    expect(exits()).toEqual([1, 1]);
  });

  it('a relative timer counts from the monotonic clock in whole nanoseconds (mshv_vtl PR 107: (deadline − rdtsc) × 10^6 / tsc_khz)', () => {
    const { clock, host, timers } = cpu();
    clock.skipTo(1_000_001);
    timers.create(nothing).startAfter(1000);
    expect(host.clockEventExpiry).toBe(1_000_000 + 2000);
  });
});

describe('the host and its VP', () => {
  it('skips the time of a halted VP up to the interrupt that wakes it', () => {
    const { clock, host, timers, passTo } = cpu();
    timers.create(nothing).start(1_000_000);
    host.halt();
    expect(host.halted).toBe(true);
    passTo(1_000_000);
    host.resume();
    expect(host.halted).toBe(false);
    expect(clock.now).toBe(1_000_000 + defaultCosts.ticks.hostInterrupt + defaultCosts.ticks.hostWake);
  });
});
