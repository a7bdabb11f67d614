/** The kernel timer that stands in for an L2 VM's TSC deadline while the VP idles (OHCL-Linux-Kernel PR 107): the host cannot see the deadline. */
import { U64, UPDATE_DEADLINE, restoreU64, saveU64, u64ToNumber } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, View, tdxL2TscDeadlineLayout } from '@paravisor/hcl-protocol';
import type { KernelTimer, VpMachine } from '@paravisor/virt-machine';
import { isArmed, moduleDeadline } from './deadline-register.js';
import type { DeadlineRegisters } from './deadline-register.js';

const HZ_PER_KHZ = 1000;
const NS_PER_MS = 1_000_000;
const ALL_ONES = -1;

export class HaltTimer {
  readonly #machine: VpMachine;
  readonly #asked: View<(typeof tdxL2TscDeadlineLayout)['fields']>;
  readonly #deadlines: DeadlineRegisters;
  readonly #timer: KernelTimer;
  readonly #tscKhz: number;
  /** The deadline the VP idles towards, module style; all ones when no timer was started. */
  readonly #deadline = new U64();
  readonly #now = new U64();
  readonly #ahead = new U64();

  /** `asked` is the run page's deadline. */
  constructor(machine: VpMachine, asked: View<(typeof tdxL2TscDeadlineLayout)['fields']>, deadlines: DeadlineRegisters) {
    this.#machine = machine;
    this.#asked = asked;
    this.#deadlines = deadlines;
    this.#tscKhz = Math.floor(machine.clock.tscHz / HZ_PER_KHZ);
    // The expiry itself does nothing: the interrupt that brings it ends the idle.
    this.#timer = machine.timers.create(() => {});
  }

  /** The kernel timer itself is the machine's to save. */
  save(): string {
    return saveU64(this.#deadline);
  }

  restore(deadline: string): void {
    restoreU64(this.#deadline, deadline);
  }

  /** Before the idle: starts the timer for what is asked for, or else for what was last written for L2 VM `vm`, unless that has expired. */
  start(vm: number): void {
    const deadline = this.#deadline;
    if ((this.#asked.updateDeadline & UPDATE_DEADLINE) !== 0) moduleDeadline(this.#asked.deadline, deadline);
    else if (vm === 0 || this.#deadlines.hasExpired(vm)) deadline.setParts(ALL_ONES, ALL_ONES);
    else deadline.set(this.#deadlines.last(vm));
    if (isArmed(deadline)) this.#timer.startAfter(this.#nsUntil(deadline));
  }

  /** After the idle: cancels the timer. True when the deadline it was started for has passed. */
  stop(): boolean {
    if (!isArmed(this.#deadline)) return false;
    this.#timer.cancel();
    return !this.#rdtsc().isBelow(this.#deadline);
  }

  /** (deadline − rdtsc) × 10^6 / tsc_khz, rounded down; 0 for the past (unsigned). Exact up to 2^53 ns, some 104 days. */
  #nsUntil(deadline: ReadonlyU64): number {
    const now = this.#rdtsc();
    if (!now.isBelow(deadline)) return 0;
    const ticks = u64ToNumber(this.#ahead.set(deadline).sub(now));
    const rest = ticks % this.#tscKhz;
    return ((ticks - rest) / this.#tscKhz) * NS_PER_MS + Math.floor((rest * NS_PER_MS) / this.#tscKhz);
  }

  /** RDTSC in the kernel. Valid until the next call. */
  #rdtsc(): U64 {
    const { clock, costs } = this.#machine;
    clock.charge(costs.ticks.vtl2Rdtsc);
    return this.#now.setNumber(clock.now);
  }
}
