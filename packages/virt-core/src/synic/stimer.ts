/** One synthetic timer (TLFS "Synthetic Timers"; openvmm `hv1_emulator::synic::Timer`). */
import { HvMessageType, StimerConfig, U64, hvMessageLayout, hvTimerMessagePayloadLayout, restoreU64, saveU64, viewHvMessage, viewOf } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, U64Field } from '@paravisor/hcl-protocol';
import type { TimerObserver } from '../contract/observer.js';
import type { SintState } from './sints.js';

/** Which timer of which VP and VTL, and who watches it. */
export interface SyntheticTimerPlace {
  readonly vp: number;
  readonly vtl: number;
  /** 0 .. 3; also the timer's `TimerSource`. */
  readonly index: number;
  readonly sints: SintState;
  readonly observer: TimerObserver;
}

export type SyntheticTimerState = {
  readonly config: string;
  readonly count: string;
  readonly due: string | null;
  readonly reevaluate: boolean;
};

export class SyntheticTimer {
  readonly config = new U64();
  /** 100 ns: absolute reference time for a one-shot timer, period for a periodic one. */
  readonly count = new U64();
  /** Reference time; meaningful while `hasDue`. */
  readonly due = new U64();
  hasDue = false;
  /** A register was written: the next evaluation computes the due time anew. */
  reevaluate = false;
  readonly #place: SyntheticTimerPlace;
  readonly #message = new Uint8Array(hvMessageLayout.size);
  readonly #expirationTime: U64Field;
  readonly #deliveryTime: U64Field;

  constructor(place: SyntheticTimerPlace) {
    this.#place = place;
    const header = viewHvMessage(this.#message);
    header.type = HvMessageType.TimerExpired;
    header.payloadSize = hvTimerMessagePayloadLayout.size;
    const payload = viewOf(hvTimerMessagePayloadLayout, this.#message, hvMessageLayout.fields.payload.offset);
    payload.timerIndex = place.index;
    this.#expirationTime = payload.expirationTime;
    this.#deliveryTime = payload.deliveryTime;
  }

  get enabled(): boolean {
    return (this.config.lo & StimerConfig.Enabled) !== 0;
  }

  get periodic(): boolean {
    return (this.config.lo & StimerConfig.Periodic) !== 0;
  }

  /** STIMERn_CONFIG, any value. */
  writeConfig(value: ReadonlyU64): void {
    this.config.set(value);
    this.reevaluate = true;
  }

  /** STIMERn_COUNT; a non-zero count enables an auto-enable timer. */
  writeCount(value: ReadonlyU64): void {
    this.#setCount(value);
    this.reevaluate = true;
  }

  /** STIMERn_COUNT as it was written at reference time `at`: the due time follows at once (openvmm PR 4224). */
  writeCountAt(value: ReadonlyU64, at: ReadonlyU64): void {
    this.#setCount(value);
    this.#computeDue(at);
  }

  /**
   * Expires the timer if it is due at `now`. True when it has a due time to come back for afterwards. A timer whose message cannot be posted keeps its
   * due time but asks for nothing: the guest's EOM is an exit, and the round after it looks again.
   */
  evaluate(now: ReadonlyU64): boolean {
    if (this.reevaluate) this.#computeDue(now);
    if (!this.hasDue) return false;
    // Signed (due − now) > 0. Half the time line apart counts as past.
    if (this.due.isBefore(now) || this.due.equals(now)) {
      if (!this.#deliver(now)) return false;
      const { vp, vtl, index, observer } = this.#place;
      observer.delivered(vp, vtl, index, this.due, now);
      this.hasDue = this.periodic;
      // From now, not from the due time: the reference's periodic timers drift and never catch up.
      if (this.hasDue) this.due.set(now).add(this.count);
      else this.config.lo &= ~StimerConfig.Enabled;
    }
    return this.hasDue;
  }

  reset(): void {
    this.config.setParts(0, 0);
    this.count.setParts(0, 0);
    this.hasDue = false;
    this.reevaluate = false;
  }

  save(): SyntheticTimerState {
    return { config: saveU64(this.config), count: saveU64(this.count), due: this.hasDue ? saveU64(this.due) : null, reevaluate: this.reevaluate };
  }

  restore(state: SyntheticTimerState): void {
    restoreU64(this.config, state.config);
    restoreU64(this.count, state.count);
    this.hasDue = state.due !== null;
    if (state.due !== null) restoreU64(this.due, state.due);
    this.reevaluate = state.reevaluate;
  }

  #setCount(value: ReadonlyU64): void {
    this.count.set(value);
    if ((this.config.lo & StimerConfig.AutoEnable) !== 0 && !this.count.isZero()) this.config.lo |= StimerConfig.Enabled;
  }

  /** Enabled with a count: periodic timers start at `at`. Else no due time; a zero count leaves `enabled` as it is. */
  #computeDue(at: ReadonlyU64): void {
    this.reevaluate = false;
    this.hasDue = this.enabled && !this.count.isZero();
    if (!this.hasDue) return;
    this.due.set(this.count);
    if (this.periodic) this.due.add(at);
    const { vp, vtl, index, observer } = this.#place;
    observer.armed(vp, vtl, index, this.due);
  }

  #deliver(now: ReadonlyU64): boolean {
    const config = this.config.lo;
    const { sints } = this.#place;
    if ((config & StimerConfig.DirectMode) !== 0) {
      sints.directInterrupt((config & StimerConfig.ApicVectorMask) >>> StimerConfig.ApicVectorShift);
      return true;
    }
    const sint = (config & StimerConfig.SintMask) >>> StimerConfig.SintShift;
    if (sints.isProxied(sint) || sints.isMasked(sint) || sints.isPending(sint) || !sints.checkReady(sint)) return false;
    this.#expirationTime.set(this.due);
    this.#deliveryTime.set(now);
    sints.post(sint, this.#message);
    return true;
  }
}
