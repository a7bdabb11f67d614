/**
 * The TSC deadline service (openvmm PR 2483, PR 4224): a lower VTL's synthetic timers expire by the L2 TSC deadline, so that neither arming nor expiry
 * needs the host. All times are reference time, 100 ns, except the page's deadline, which is virtual TSC.
 */
import { U64, UPDATE_DEADLINE, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, View, tdxL2TscDeadlineLayout } from '@paravisor/hcl-protocol';
import { TscScale } from '@paravisor/virt-core';
import type { BackingVp, HardwareIsolatedGuestTimer } from '@paravisor/virt-core';
import { noRemedies } from '../settings.js';
import type { TimerRemedies } from '../settings.js';

/** `l2_tsc_deadline` of a run page. */
export type L2TscDeadlinePage = View<(typeof tdxL2TscDeadlineLayout)['fields']>;

/** What `TscDeadlineState.save` gives. */
export type TscDeadlineVpState = { readonly deadline: string | null; readonly lastDeadline: string | null; readonly lastVtl: number };

/** A VP's state. Only kept when the timer is hardware virtualized. */
export class TscDeadlineState {
  /** The deadline wanted in this round; meaningful while `hasDeadline`. */
  readonly deadline = new U64();
  hasDeadline = false;
  /** What the last run is taken to have armed; meaningful while `hasLastDeadline`. */
  readonly lastDeadline = new U64();
  hasLastDeadline = false;
  /** The VTL that ran last. */
  lastVtl = 0;

  save(): TscDeadlineVpState {
    return { deadline: this.hasDeadline ? saveU64(this.deadline) : null, lastDeadline: this.hasLastDeadline ? saveU64(this.lastDeadline) : null, lastVtl: this.lastVtl };
  }

  restore({ deadline, lastDeadline, lastVtl }: TscDeadlineVpState): void {
    this.lastVtl = lastVtl;
    this.hasDeadline = deadline !== null;
    this.hasLastDeadline = lastDeadline !== null;
    if (deadline !== null) restoreU64(this.deadline, deadline);
    if (lastDeadline !== null) restoreU64(this.lastDeadline, lastDeadline);
  }
}

/** What the service needs of a VP. */
export interface TscDeadlineVp {
  readonly tscDeadline: TscDeadlineState;
  /** `l2_tsc_deadline` of the VP's run page. */
  readonly deadlinePage: L2TscDeadlinePage;
  /** RDTSC of VTL2. */
  rdtsc(out: U64): void;
}

/** The guest timer of a TDX partition whose kernel virtualizes lower-VTL timers. */
export class TscDeadlineService implements HardwareIsolatedGuestTimer<BackingVp & TscDeadlineVp> {
  readonly #scale: TscScale;
  readonly #remedies: TimerRemedies;
  readonly #ahead = new U64();
  readonly #tsc = new U64();

  /** `tscFrequency` in Hz. Throws `RangeError` unless it is a positive integer. */
  constructor(tscFrequency: number, remedies: TimerRemedies = noRemedies) {
    this.#remedies = remedies;
    this.#scale = new TscScale(tscFrequency);
  }

  isHardwareVirtualized(): boolean {
    return true;
  }

  /**
   * The earlier of the wanted deadline and `next` is wanted; order is that of a wrapping line. The page changes only if the last run did not arm the same.
   * A `next` numerically in the past becomes the TSC's present.
   */
  updateDeadline(vp: TscDeadlineVp, now: ReadonlyU64, next: ReadonlyU64): void {
    const { tscDeadline: state, deadlinePage: page } = vp;
    const { deadline, lastDeadline } = state;
    // `next` before the wanted one, or none wanted.
    if (state.hasDeadline && !this.#ahead.set(next).isBefore(deadline)) return;
    deadline.set(next);
    state.hasDeadline = true;
    if (state.hasLastDeadline && lastDeadline.equals(next)) {
      page.updateDeadline = 0;
      return;
    }
    const ahead = this.#ahead.set(next);
    if (ahead.isBelow(now)) ahead.setParts(0, 0);
    else ahead.sub(now);
    this.#scale.toTicks(ahead, ahead);
    vp.rdtsc(this.#tsc);
    page.deadline.set(this.#tsc.add(ahead));
    page.updateDeadline = UPDATE_DEADLINE;
  }

  /** Neither the last run's deadline nor the page's is forgotten: with nothing wanted afterwards the hardware keeps the old one for a stray expiry. */
  clearDeadline({ tscDeadline, deadlinePage }: TscDeadlineVp): void {
    tscDeadline.hasDeadline = false;
    deadlinePage.updateDeadline = 0;
  }

  /** The deadline is in the run page already; nothing is said to the L2 VM of another VTL than ran last, unless remedied. */
  beginLowerVtlRun({ tscDeadline: state, deadlinePage: page }: TscDeadlineVp, vtl: number): void {
    if (this.#remedies.remedyVtlSwitch && vtl !== state.lastVtl && state.hasDeadline && page.updateDeadline === 0) {
      // Reference time is virtual TSC in another unit, from the same zero.
      this.#scale.toTicks(state.deadline, this.#tsc);
      page.deadline.set(this.#tsc);
      page.updateDeadline = UPDATE_DEADLINE;
    }
    state.lastVtl = vtl;
  }

  /** Also after a run that was cancelled, in which the driver armed nothing: what was wanted is taken to be armed (PR 2483), unless remedied. */
  endLowerVtlRun({ tscDeadline: state, deadlinePage: page }: TscDeadlineVp): void {
    state.hasLastDeadline = state.hasDeadline;
    state.lastDeadline.set(state.deadline);
    if (this.#remedies.remedyCancelledRun && (page.updateDeadline & UPDATE_DEADLINE) !== 0) state.hasLastDeadline = false;
  }

  /** The run ended by an expiry, real or faked: what the reference does not look at. The driver takes the deadline away with the next entry. */
  expired({ tscDeadline: state }: TscDeadlineVp): void {
    if (this.#remedies.remedyEarlyExpiry) state.hasLastDeadline = false;
  }
}
