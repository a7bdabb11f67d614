import { U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { TimerObserver } from '@paravisor/virt-core';

/** Delivery latency in ns, nearest-rank percentiles; null when nothing was delivered. */
export interface LatencySummary {
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** What the guest's timers did over a run. */
export interface TimerSummary {
  /** Guest writes that gave a timer a due time; periodic reloads not counted. */
  readonly armed: number;
  /** Messages stored and vectors set in IRR. */
  readonly expired: number;
  readonly latencyNs: LatencySummary;
}

const NS_PER_REFERENCE_UNIT = 100;

/** Nearest-rank percentile of an ascending, non-empty list: the smallest value with at least `percent` of the list at or below it. */
export function nearestRank(ascending: Float64Array, percent: number): number {
  return ascending[Math.max(0, Math.ceil((percent / 100) * ascending.length) - 1)]!;
}

export type TimerStatisticsState = {
  readonly armed: number;
  /** Latencies of what was delivered, ns. */
  readonly latenciesNs: readonly number[];
};

/** Counts guest timers and keeps their delivery latencies. */
export class TimerStatistics implements TimerObserver {
  #armed = 0;
  #expired = 0;
  #latencies = new Float64Array(1024);
  readonly #difference = new U64();

  armed(): void {
    this.#armed++;
  }

  delivered(_vp: number, _vtl: number, _source: number, due: ReadonlyU64, now: ReadonlyU64): void {
    if (this.#expired === this.#latencies.length) {
      const larger = new Float64Array(2 * this.#latencies.length);
      larger.set(this.#latencies);
      this.#latencies = larger;
    }
    this.#latencies[this.#expired++] = this.#difference.set(now).sub(due).toNumber() * NS_PER_REFERENCE_UNIT;
  }

  save(): TimerStatisticsState {
    return { armed: this.#armed, latenciesNs: [...this.#latencies.subarray(0, this.#expired)] };
  }

  restore({ armed, latenciesNs }: TimerStatisticsState): void {
    this.#armed = armed;
    this.#expired = latenciesNs.length;
    this.#latencies = new Float64Array(Math.max(this.#latencies.length, latenciesNs.length));
    this.#latencies.set(latenciesNs);
  }

  summary(): TimerSummary {
    const sorted = this.#latencies.slice(0, this.#expired).sort();
    const latencyNs =
      sorted.length === 0 ? { p50: null, p99: null, max: null } : { p50: nearestRank(sorted, 50), p99: nearestRank(sorted, 99), max: sorted[sorted.length - 1]! };
    return { armed: this.#armed, expired: this.#expired, latencyNs };
  }
}
