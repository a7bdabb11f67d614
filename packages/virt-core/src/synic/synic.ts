/** The synthetic interrupt controller of one lower VTL of one VP (TLFS "Virtual Interrupt Controller"; openvmm `ProcessorSynic`). */
import { HvMsr, REGISTER_ENABLE, SINT_COUNT, STIMER_COUNT, StateError, U64, hvMessageLayout, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/status.js';
import type { TimerObserver } from '../contract/observer.js';
import { OverlayPage } from '../memory/index.js';
import type { OverlayPageState } from '../memory/index.js';
import { SintState } from './sints.js';
import type { SintsState, SynicInterruptSink } from './sints.js';
import { SyntheticTimer } from './stimer.js';
import type { SyntheticTimerState } from './stimer.js';

export interface SynicOptions {
  /** VP index and VTL, as the observer is told. */
  readonly vp: number;
  readonly vtl: number;
  readonly memory: GuestMemoryLine;
  readonly interrupts: SynicInterruptSink;
  readonly observer: TimerObserver;
}

export type SynicState = {
  readonly sints: SintsState;
  readonly timers: readonly SyntheticTimerState[];
  readonly eventPage: OverlayPageState;
  readonly scontrol: string;
  readonly siefp: string;
  readonly simp: string;
};

/** What became of a message, as TLFS status codes. */
export const PostStatus = { Posted: 0, /** The SINT is masked or proxied. */ InvalidSynicState: 0x18, /** The slot is not known to be free. */ ObjectInUse: 0x19 } as const;
export type PostStatus = (typeof PostStatus)[keyof typeof PostStatus];

/** SVERSION. */
const SYNIC_VERSION = 1;
const EVENT_FLAG_BYTES_PER_SINT = 256;
const LAST_SINT = HvMsr.Sint0 + SINT_COUNT - 1;
const LAST_STIMER = HvMsr.Stimer0Config + 2 * STIMER_COUNT - 1;

export class Synic {
  readonly sints: SintState;
  readonly timers: readonly SyntheticTimer[];
  /** After `scan`: whether some timer has a due time to come back for. */
  hasNextDue = false;
  /** After `scan`: bit n is set when SINT n, asked for by `requestSintReadiness`, has a free slot. */
  readySints = 0;
  /** Bit n: timer n may have something to do in a scan. Most never do. */
  #active = 0;
  readonly #nextDue = new U64();
  readonly #eventPage: OverlayPage;
  readonly #scontrol = new U64();
  readonly #siefp = new U64();
  readonly #simp = new U64();
  readonly #eventFlags = new U64();
  readonly #eventByte = new Uint8Array(1);

  constructor(options: SynicOptions) {
    const { vp, vtl, memory, interrupts, observer } = options;
    this.sints = new SintState(memory, interrupts);
    this.#eventPage = new OverlayPage(memory);
    this.timers = Array.from({ length: STIMER_COUNT }, (_, index) => new SyntheticTimer({ vp, vtl, index, sints: this.sints, observer }));
    this.reset();
  }

  /** Whether `msr` is one of the SynIC's: 0x40000080 .. 84, 0x40000090 .. 9f or 0x400000b0 .. b7. */
  static owns(msr: number): boolean {
    return (msr >= HvMsr.Scontrol && msr <= HvMsr.Eom) || (msr >= HvMsr.Sint0 && msr <= LAST_SINT) || (msr >= HvMsr.Stimer0Config && msr <= LAST_STIMER);
  }

  /** Whether `msr` is one of the sixteen SINTs. */
  static isSint(msr: number): boolean {
    return msr >= HvMsr.Sint0 && msr <= LAST_SINT;
  }

  /** After `scan`, while `hasNextDue`: the unsigned minimum over the timers, reference time. It may lie in the past. */
  get nextDue(): ReadonlyU64 {
    return this.#nextDue;
  }

  /** RDMSR of an MSR that `owns` names. */
  readMsr(msr: number, out: U64): MsrStatus {
    if (msr >= HvMsr.Stimer0Config) {
      const timer = this.timers[(msr - HvMsr.Stimer0Config) >>> 1]!;
      out.set((msr & 1) === 0 ? timer.config : timer.count);
      return MsrStatus.Ok;
    }
    if (msr >= HvMsr.Sint0) {
      out.set(this.sints.registers[msr - HvMsr.Sint0]!);
      return MsrStatus.Ok;
    }
    switch (msr) {
      case HvMsr.Scontrol:
        out.set(this.#scontrol);
        break;
      case HvMsr.Sversion:
        out.setParts(SYNIC_VERSION, 0);
        break;
      case HvMsr.Siefp:
        out.set(this.#siefp);
        break;
      case HvMsr.Simp:
        out.set(this.#simp);
        break;
      default:
        out.setParts(0, 0);
    }
    return MsrStatus.Ok;
  }

  /**
   * WRMSR of an MSR that `owns` names. Timers are only marked: the next `scan` evaluates them. GeneralProtection for SVERSION, and for a message or
   * event page outside RAM, which leaves the register as it was.
   */
  writeMsr(msr: number, value: ReadonlyU64): MsrStatus {
    if (msr >= HvMsr.Stimer0Config) {
      const index = (msr - HvMsr.Stimer0Config) >>> 1;
      const timer = this.timers[index]!;
      this.#active |= 1 << index;
      if ((msr & 1) === 0) timer.writeConfig(value);
      else timer.writeCount(value);
      return MsrStatus.Ok;
    }
    if (msr >= HvMsr.Sint0) {
      this.sints.registers[msr - HvMsr.Sint0]!.set(value);
      return MsrStatus.Ok;
    }
    switch (msr) {
      case HvMsr.Scontrol:
        this.#scontrol.set(value);
        return MsrStatus.Ok;
      case HvMsr.Siefp:
        return this.#place(this.#eventPage, this.#siefp, value);
      case HvMsr.Simp:
        return this.#place(this.sints.page, this.#simp, value);
      case HvMsr.Eom:
        // Being an exit is its whole effect: the next scan finds the slot free.
        return MsrStatus.Ok;
      default:
        return MsrStatus.GeneralProtection;
    }
  }

  /**
   * Looks at awaited SINTs and at the timers, at reference time `now`: delivers what is due and leaves the next due time in `nextDue`. Called by the VP
   * loop each round. True when awaited SINTs became free (`readySints`): post their messages and scan again.
   */
  scan(now: ReadonlyU64): boolean {
    const { sints, timers } = this;
    if (sints.pending !== 0) for (let sint = 0; sint < SINT_COUNT; sint++) if (sints.isPending(sint)) sints.checkReady(sint);

    this.hasNextDue = false;
    for (let left = this.#active; left !== 0; left &= left - 1) {
      const lowest = left & -left;
      const timer = timers[31 - Math.clz32(lowest)]!;
      if (!timer.evaluate(now)) {
        if (!timer.hasDue) this.#active &= ~lowest;
      } else if (!this.hasNextDue || timer.due.isBelow(this.#nextDue)) {
        this.#nextDue.set(timer.due);
        this.hasNextDue = true;
      }
    }
    this.readySints = sints.ready & sints.pending;
    sints.pending &= ~this.readySints;
    return this.readySints !== 0;
  }

  /** Replaces the set of SINTs (bit n: SINT n) whose free slot the next scans are to report. Until then, timers do not post to them. */
  requestSintReadiness(sints: number): void {
    this.sints.pending = sints & 0xffff;
  }

  /** Puts a 256-byte message into the slot of `sint`, which a scan must have reported free. */
  postMessage(sint: number, message: Uint8Array): PostStatus {
    if (message.length !== hvMessageLayout.size) throw new RangeError(`a message is ${hvMessageLayout.size} bytes, not ${message.length}`);
    const { sints } = this;
    if (sints.isMasked(sint) || sints.isProxied(sint)) return PostStatus.InvalidSynicState;
    if (!sints.isReady(sint)) return PostStatus.ObjectInUse;
    sints.post(sint, message);
    return PostStatus.Posted;
  }

  /** Sets event flag `flag` (0 .. 2047) of `sint` and raises its interrupt. False when it was set already, the SINT is masked or proxied, or SCONTROL is off. */
  signalEvent(sint: number, flag: number): boolean {
    if ((this.#scontrol.lo & REGISTER_ENABLE) === 0 || this.sints.isMasked(sint) || this.sints.isProxied(sint)) return false;
    const byte = sint * EVENT_FLAG_BYTES_PER_SINT + (flag >>> 3);
    this.#eventPage.readU64(byte & ~7, this.#eventFlags);
    const found = ((byte & 4) === 0 ? this.#eventFlags.lo : this.#eventFlags.hi) >>> (8 * (byte & 3));
    const mask = 1 << (flag & 7);
    if ((found & mask) !== 0) return false;
    this.#eventByte[0] = found | mask;
    this.#eventPage.write(byte, this.#eventByte);
    this.sints.interrupt(sint);
    return true;
  }

  /** A count the driver took from the guest at reference time `at` (openvmm PR 4224): the timer has its due time at once. */
  writeCountAt(timer: number, count: ReadonlyU64, at: ReadonlyU64): void {
    this.#active |= 1 << timer;
    this.timers[timer]!.writeCountAt(count, at);
  }

  /** Power-on state: SCONTROL enabled, SINTs masked, no pages, timers off. */
  reset(): void {
    this.sints.reset();
    this.#eventPage.reset();
    this.#scontrol.setParts(REGISTER_ENABLE, 0);
    this.#siefp.setParts(0, 0);
    this.#simp.setParts(0, 0);
    for (const timer of this.timers) timer.reset();
    this.#active = 0;
    this.hasNextDue = false;
    this.readySints = 0;
  }

  /** All but what the last scan found, which is read before anything else happens. */
  save(): SynicState {
    return {
      sints: this.sints.save(),
      timers: this.timers.map((timer) => timer.save()),
      eventPage: this.#eventPage.save(),
      scontrol: saveU64(this.#scontrol),
      siefp: saveU64(this.#siefp),
      simp: saveU64(this.#simp),
    };
  }

  /** @throws {StateError} for another number of SINTs or timers. */
  restore(state: SynicState): void {
    if (state.timers.length !== STIMER_COUNT) throw new StateError(`${STIMER_COUNT} timers were to be restored, and ${state.timers.length} are there`);
    this.sints.restore(state.sints);
    for (const [n, timer] of this.timers.entries()) timer.restore(state.timers[n]!);
    this.#active = (1 << STIMER_COUNT) - 1;
    this.#eventPage.restore(state.eventPage);
    restoreU64(this.#scontrol, state.scontrol);
    restoreU64(this.#siefp, state.siefp);
    restoreU64(this.#simp, state.simp);
  }

  /** SIMP or SIEFP: the page follows the register. */
  #place(page: OverlayPage, register: U64, value: ReadonlyU64): MsrStatus {
    if ((value.lo & REGISTER_ENABLE) === 0) page.unmap();
    else if (!page.map(value)) return MsrStatus.GeneralProtection;
    register.set(value);
    return MsrStatus.Ok;
  }
}
