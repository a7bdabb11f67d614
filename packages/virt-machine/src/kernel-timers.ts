/**
 * Timers of the VTL2 kernel on one CPU, as Linux high-resolution timers keep them (`kernel/time/hrtimer.c`, 6.12, in behaviour): one clock event device
 * for all, programmed for the earliest.
 *
 * How many hypervisor exits each path makes:
 * - starting a timer that becomes the earliest, or moving the earliest one: one `timer_arm`, if the device's next expiry changes by it;
 * - starting a timer behind the earliest, or any timer at the time it has: none;
 * - cancelling the earliest timer: one `timer_arm` for the next one, none when there is no next one. The device has then not been stopped (Hyper-V's clock
 *   event driver has no way to stop a one-shot): its stale expiry is still a `timer_expiry`, unless it is programmed anew before;
 * - an expiry: one `timer_expiry`, counted by the host, and one `timer_arm` if a timer is left.
 */
import { restoreTime, saveTime } from '@paravisor/hcl-protocol';
import type { VpClock } from './clock.js';
import type { HostVp } from './host.js';
import type { OsTime } from './os-time.js';

/** One timer. Made once; starting and cancelling allocate nothing. */
export class KernelTimer {
  readonly #timers: KernelTimers;
  /** Called in the kernel's timer interrupt when the time has come. */
  readonly onExpire: () => void;
  /** Absolute tick at which the timer is due, Infinity when it is not started. Written by `KernelTimers`. */
  expiry = Infinity;

  constructor(timers: KernelTimers, onExpire: () => void) {
    this.#timers = timers;
    this.onExpire = onExpire;
  }

  get started(): boolean {
    return this.expiry !== Infinity;
  }

  /** Starts the timer, or moves it, to the absolute tick `expiry`; a tick in the past expires as soon as the device can interrupt. */
  start(expiry: number): void {
    this.#timers.startTimer(this, expiry);
  }

  /** Starts the timer `ns` from now on the kernel's monotonic clock: the first tick at which that clock has gone on by so much. */
  startAfter(ns: number): void {
    this.#timers.startTimer(this, this.#timers.tickAfter(ns));
  }

  /** Stops the timer, not the device. */
  cancel(): void {
    this.#timers.cancelTimer(this);
  }
}

export type KernelTimersState = {
  readonly programmed: number | null;
  readonly expiries: readonly (number | null)[];
};

export class KernelTimers {
  readonly #timers: KernelTimer[] = [];
  readonly #clock: VpClock;
  readonly #host: HostVp;
  readonly #osTime: OsTime;
  /** What the kernel has programmed the device for; Infinity after an interrupt, and when it has no timer to wait for. */
  #programmed = Infinity;
  /** While the interrupt handler runs timers, starting one does not program the device; the handler does so once, at its end. */
  #inInterrupt = false;

  constructor(clock: VpClock, host: HostVp, osTime: OsTime) {
    this.#clock = clock;
    this.#host = host;
    this.#osTime = osTime;
  }

  /** Makes a timer, not started. `onExpire` runs in the timer interrupt and may start timers. */
  create(onExpire: () => void): KernelTimer {
    const timer = new KernelTimer(this, onExpire);
    this.#timers.push(timer);
    return timer;
  }

  /** See `KernelTimer.start`. */
  startTimer(timer: KernelTimer, expiry: number): void {
    timer.expiry = expiry;
    this.#reprogram();
  }

  /** See `KernelTimer.cancel`. */
  cancelTimer(timer: KernelTimer): void {
    if (!timer.started) return;
    timer.expiry = Infinity;
    this.#reprogram();
  }

  /** The first tick at which the monotonic clock shows `ns` more than now. */
  tickAfter(ns: number): number {
    return this.#osTime.ticksAt(this.#osTime.nsOf(this.#clock.now) + ns);
  }

  save(): KernelTimersState {
    return { programmed: saveTime(this.#programmed), expiries: this.#timers.map(({ expiry }) => saveTime(expiry)) };
  }

  /** The same timers have been made, in the same order. Programs nothing: the device is restored by its host. */
  restore({ programmed, expiries }: KernelTimersState): void {
    this.#programmed = restoreTime(programmed);
    for (const [index, timer] of this.#timers.entries()) timer.expiry = restoreTime(expiries[index] ?? null);
  }

  /** The clock event device's interrupt: runs what has expired by now, then programs the device for what is left. */
  interrupt(): void {
    this.#programmed = Infinity;
    this.#inInterrupt = true;
    const { now } = this.#clock;
    for (const timer of this.#timers) {
      if (timer.expiry > now) continue;
      timer.expiry = Infinity;
      timer.onExpire();
    }
    this.#inInterrupt = false;
    this.#reprogram();
  }

  #reprogram(): void {
    if (this.#inInterrupt) return;
    let earliest = Infinity;
    for (const timer of this.#timers) if (timer.expiry < earliest) earliest = timer.expiry;
    if (earliest === this.#programmed) return;
    this.#programmed = earliest;
    if (earliest !== Infinity) this.#host.armClockEvent(earliest);
  }
}
