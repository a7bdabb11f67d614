/** The exit ledger: every exit once, by VP, VTL, destination and reason. */
import { ExitDestination, exitDestinationNames, exitReasonNames, exitReasonsOf } from '@paravisor/hcl-protocol';
import type { ExitReasonName } from '@paravisor/hcl-protocol';
import { silentMachineObserver } from './observer.js';
import type { MachineObserver } from './observer.js';

/** VTLs the ledger tells apart; VTL2 is where hypervisor exits of the paravisor itself are counted. */
const VTL_COUNT = 3;
const REASON_COUNT = exitReasonNames.length;
/** Bits of a place that tell destinations, VTLs and reasons apart: shifts are cheaper than products. */
const REASON_BITS = 32 - Math.clz32(REASON_COUNT - 1);
const DESTINATION_BITS = 32 - Math.clz32(exitDestinationNames.length - 1);
const VTL_BITS = 2;

/** Exits of one destination by reason. */
export type ReasonCounts = Partial<Record<ExitReasonName, number>>;

/** The ledger's totals as plain data. */
export interface LedgerSnapshot {
  readonly paravisor: number;
  readonly user: number;
  readonly hypervisor: number;
  readonly byReason: { readonly paravisor: ReasonCounts; readonly user: ReasonCounts; readonly hypervisor: ReasonCounts };
}

/** Places in the ledger and what is counted there, by turns. */
export type LedgerState = readonly number[];

/** Part of the ledger to look at. What is left out is summed over. */
export interface LedgerSlice {
  readonly vp?: number;
  readonly vtl?: number;
}

/** Where exits of a kind are counted. */
const placeOf = (vp: number, vtl: number, destination: ExitDestination, reason: number): number => (((((vp << VTL_BITS) | vtl) << DESTINATION_BITS) | destination) << REASON_BITS) | reason;

/** Counts exits in one flat array. Counting allocates nothing. */
export class Ledger {
  readonly #counts: Float64Array;
  readonly #vpCount: number;
  readonly #observer: MachineObserver;
  readonly #observed: boolean;
  readonly #lowerVtlReasons: readonly ExitReasonName[];

  /** `lowerVtlReasons`: the paravisor and user reasons that a snapshot lists even at zero. */
  constructor(vpCount: number, observer: MachineObserver, lowerVtlReasons: readonly ExitReasonName[]) {
    this.#counts = new Float64Array(placeOf(vpCount, 0, 0, 0));
    this.#vpCount = vpCount;
    this.#observer = observer;
    this.#observed = observer !== silentMachineObserver;
    this.#lowerVtlReasons = lowerVtlReasons;
  }

  /**
   * Counts one exit at `ticks` of the VP's clock. `vtl` is the VTL that was left: the lower VTL for paravisor exits, user exits and VMPL switches,
   * VTL2 for what it asks of the host and what the host interrupts it with. `reason` is a number of `ExitReason`.
   */
  count(vp: number, vtl: number, destination: ExitDestination, reason: number, ticks: number): void {
    this.#counts[placeOf(vp, vtl, destination, reason)]! += 1;
    if (this.#observed) this.#observer.exit(vp, vtl, destination, reason, ticks);
  }

  /** Every count that is not 0, behind its place. */
  save(): LedgerState {
    const state: number[] = [];
    for (const [place, count] of this.#counts.entries()) if (count !== 0) state.push(place, count);
    return state;
  }

  restore(state: LedgerState): void {
    this.#counts.fill(0);
    for (let at = 0; at < state.length; at += 2) this.#counts[state[at]!] = state[at + 1]!;
  }

  /** Exits of one destination and reason. */
  countOf(destination: ExitDestination, reason: number, slice: LedgerSlice = {}): number {
    let sum = 0;
    for (let vp = slice.vp ?? 0; vp < (slice.vp === undefined ? this.#vpCount : slice.vp + 1); vp++) {
      for (let vtl = slice.vtl ?? 0; vtl < (slice.vtl === undefined ? VTL_COUNT : slice.vtl + 1); vtl++) {
        sum += this.#counts[placeOf(vp, vtl, destination, reason)]!;
      }
    }
    return sum;
  }

  /** Exits of one destination, whatever the reason. */
  total(destination: ExitDestination, slice: LedgerSlice = {}): number {
    let sum = 0;
    for (let reason = 0; reason < REASON_COUNT; reason++) sum += this.countOf(destination, reason, slice);
    return sum;
  }

  /** Totals by destination and reason name. Reasons that the backing or the host never gives are listed only if counted. */
  snapshot(slice: LedgerSlice = {}): LedgerSnapshot {
    const lower = this.#lowerVtlReasons;
    return {
      paravisor: this.total(ExitDestination.Paravisor, slice),
      user: this.total(ExitDestination.User, slice),
      hypervisor: this.total(ExitDestination.Hypervisor, slice),
      byReason: {
        paravisor: this.#byReason(ExitDestination.Paravisor, lower, slice),
        user: this.#byReason(ExitDestination.User, lower, slice),
        hypervisor: this.#byReason(ExitDestination.Hypervisor, exitReasonsOf.hypervisor, slice),
      },
    };
  }

  #byReason(destination: ExitDestination, listed: readonly ExitReasonName[], slice: LedgerSlice): ReasonCounts {
    const counts: ReasonCounts = {};
    for (const [reason, name] of exitReasonNames.entries()) {
      const count = this.countOf(destination, reason, slice);
      if (count !== 0 || listed.includes(name)) counts[name] = count;
    }
    return counts;
  }
}
