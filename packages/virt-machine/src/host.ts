/** The host hypervisor as one VP's VTL2 meets it: every arrival here is a hypervisor exit. */
import { ExitDestination, ExitReason } from '@paravisor/hcl-protocol';
import type { VpClock } from './clock.js';
import type { MachineObserver } from './observer.js';
import type { CostModel } from './cost.js';
import { EventKind, MachineEvent } from './events.js';
import type { EventQueue, EventState } from './events.js';
import type { HostTimerManner } from './host-options.js';
import { HostTimer } from './host-timer.js';
import type { HostTimerState } from './host-timer.js';
import type { Ledger } from './ledger.js';
import { ProxiedInterrupts } from './proxied-interrupts.js';
import type { ProxiedInterruptsState } from './proxied-interrupts.js';

/** Interrupts the host can make pending for VTL2, as bits. */
export const Vtl2Interrupt = {
  /** VTL2's own synthetic timer, its clock event device. */
  ClockEvent: 1,
  /** Anything else: another VP's, a device's. */
  Other: 2,
  /** A message that says which of the guest's interrupts are asserted: see `HostVp.takeProxied`. */
  Proxied: 4,
} as const;

/** The VTL whose exits to the host these are. */
const VTL2 = 2;

/** What `HostVp` is made of. */
export interface HostVpParts {
  readonly index: number;
  readonly clock: VpClock;
  readonly events: EventQueue;
  readonly ledger: Ledger;
  readonly costs: CostModel;
  readonly observer: MachineObserver;
  /** Default `honest`. */
  readonly timerManner?: HostTimerManner;
}

export type HostVpState = {
  readonly pending: number;
  readonly halted: boolean;
  readonly timer: HostTimerState;
  readonly interruption: EventState;
  readonly proxied: ProxiedInterruptsState;
};

/**
 * One virtual processor at the host: VTL2's synthetic timer, its pending interrupts, and whether VTL2 has halted. A pending interrupt makes a running
 * lower VTL exit to VTL2 and ends a halt; it stays pending until the VTL2 kernel takes it.
 */
export class HostVp {
  /** `Vtl2Interrupt` bits. */
  #pending = 0;
  #halted = false;
  readonly #timer: HostTimer;
  readonly #proxied: ProxiedInterrupts;
  readonly #interruption: MachineEvent;
  readonly #parts: HostVpParts;

  constructor(parts: HostVpParts) {
    this.#parts = parts;
    const { index, clock, events } = parts;
    this.#timer = new HostTimer({
      index,
      clock,
      events,
      manner: parts.timerManner ?? 'honest',
      expire: (time) => this.#expire(time),
      interruptForNothing: (time) => this.#interrupt(time, ExitReason.host_interrupt, Vtl2Interrupt.ClockEvent),
    });
    this.#interruption = new MachineEvent(EventKind.HostInterrupt, index, (time) => this.#interrupt(time, ExitReason.host_interrupt, Vtl2Interrupt.Other));
    this.#proxied = new ProxiedInterrupts(index, events, (time) => this.#interrupt(time, ExitReason.host_interrupt, Vtl2Interrupt.Proxied));
  }

  /** Whether the VTL2 kernel has an interrupt to take. */
  get vtl2InterruptPending(): boolean {
    return this.#pending !== 0;
  }

  /** Whether VTL2 has halted and not been resumed. */
  get halted(): boolean {
    return this.#halted;
  }

  /** The tick for which VTL2's synthetic timer is armed, Infinity when it is not. */
  get clockEventExpiry(): number {
    return this.#timer.expiry;
  }

  /**
   * VTL2 programs its synthetic timer, one-shot, for an absolute tick; a tick in the past expires at once. One exit (`timer_arm`); what was
   * programmed before is replaced and does not expire.
   */
  armClockEvent(expiryTicks: number): void {
    const { index, clock, costs, observer } = this.#parts;
    this.#count(VTL2, ExitReason.timer_arm);
    observer.hostTimerArmed(index, expiryTicks, clock.now);
    clock.charge(costs.ticks.hostTimerArm);
    this.#timer.program(expiryTicks);
  }

  /**
   * The host is to interrupt VTL2 for a reason other than its timer: one exit (`host_interrupt`) when this VP's clock stands at or past `tick`, the
   * clock of whoever asks. Asked again before that, there is one interrupt, at the earlier tick.
   */
  interruptVtl2(tick: number): void {
    if (!this.#interruption.queued || tick < this.#interruption.time) this.#parts.events.schedule(this.#interruption, tick);
  }

  /**
   * The host asserts one of the guest's interrupts, which it proxies through VTL2, when this VP's clock stands at or past `tick`: one exit
   * (`host_interrupt`) for all vectors of a tick. What is asserted already stays one interrupt.
   * @throws {RangeError} for a vector above 255.
   */
  proxyInterrupt(vector: number, tick: number): void {
    this.#proxied.assertAt(vector, tick);
  }

  /** The VTL2 kernel takes the vectors that are asserted: ors those that `blocked` does not name into `into`, eight words each. */
  takeProxied(into: Uint32Array, blocked: Uint32Array): void {
    const { asserted } = this.#proxied;
    for (let word = 0; word < asserted.length; word++) into[word]! |= asserted[word]! & ~blocked[word]!;
    asserted.fill(0);
  }

  /** The VTL2 kernel takes everything that is pending. Returns the `Vtl2Interrupt` bits. */
  takeInterrupts(): number {
    const bits = this.#pending;
    this.#pending = 0;
    return bits;
  }

  /** VTL2 halts: one exit (`halt`). */
  halt(): void {
    this.#count(VTL2, ExitReason.halt);
    this.#parts.clock.charge(this.#parts.costs.ticks.hostHalt);
    this.#halted = true;
  }

  /** VTL2 runs again after a halt; nothing when it had not halted. Waking it is part of the halt's exit, but takes time. */
  resume(): void {
    if (!this.#halted) return;
    this.#halted = false;
    this.#parts.clock.charge(this.#parts.costs.ticks.hostWake);
  }

  /** SNP: one switch between VTL2's VMPL and that of lower VTL `vtl`, in either direction, through the host (`vmpl_switch`). */
  countVmplSwitch(vtl: number): void {
    this.#count(vtl, ExitReason.vmpl_switch);
    this.#parts.clock.charge(this.#parts.costs.ticks.vmplSwitch);
  }

  /** VTL2 asks the host for something else: one exit of the given `ExitReason`. */
  call(reason: number): void {
    this.#count(VTL2, reason);
    this.#parts.clock.charge(this.#parts.costs.ticks.hostCall);
  }

  #expire(time: number): void {
    const { index, clock, observer } = this.#parts;
    if (this.#halted) clock.skipTo(time);
    observer.hostTimerExpired(index, clock.now);
    this.#interrupt(time, ExitReason.timer_expiry, Vtl2Interrupt.ClockEvent);
  }

  #interrupt(time: number, reason: number, bit: number): void {
    // A halted VP's time is skipped up to what wakes it.
    if (this.#halted) this.#parts.clock.skipTo(time);
    this.#count(VTL2, reason);
    this.#parts.clock.charge(this.#parts.costs.ticks.hostInterrupt);
    this.#pending |= bit;
  }

  save(): HostVpState {
    const { events } = this.#parts;
    return {
      pending: this.#pending,
      halted: this.#halted,
      timer: this.#timer.save(),
      interruption: events.save(this.#interruption),
      proxied: this.#proxied.save(),
    };
  }

  restore({ pending, halted, timer, interruption, proxied }: HostVpState): void {
    this.#pending = pending;
    this.#halted = halted;
    this.#timer.restore(timer);
    this.#parts.events.restore(this.#interruption, interruption);
    this.#proxied.restore(proxied);
  }

  #count(vtl: number, reason: number): void {
    const { index, ledger, clock } = this.#parts;
    ledger.count(index, vtl, ExitDestination.Hypervisor, reason, clock.now);
  }
}
