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

export type TimerStatisticsState = {
  readonly armed: number;
  /** A latency of what was delivered, ns, and how often it was, by turns. */
  readonly latenciesNs: readonly number[];
};

/** Counts guest timers, and their delivery latencies. */
export class TimerStatistics implements TimerObserver {
  #armed = 0;
  #expired = 0;
  /** A guest has few different ones, however long it runs. */
  readonly #latencies = new Map<number, number>();
  /** The last latency, and how often it came in a row: not in the map yet. */
  #last = 0;
  #times = 0;
  readonly #difference = new U64();

  armed(): void {
    this.#armed++;
  }

  delivered(_vp: number, _vtl: number, _source: number, due: ReadonlyU64, now: ReadonlyU64): void {
    this.#expired++;
    const latency = this.#difference.set(now).sub(due).toNumber() * NS_PER_REFERENCE_UNIT;
    if (latency !== this.#last) this.#keepLast(latency);
    this.#times++;
  }

  #keepLast(next: number): void {
    if (this.#times > 0) this.#latencies.set(this.#last, (this.#latencies.get(this.#last) ?? 0) + this.#times);
    this.#last = next;
    this.#times = 0;
  }

  save(): TimerStatisticsState {
    this.#keepLast(this.#last);
    return { armed: this.#armed, latenciesNs: [...this.#latencies].flat() };
  }

  restore({ armed, latenciesNs }: TimerStatisticsState): void {
    this.#armed = armed;
    this.#expired = 0;
    this.#times = 0;
    this.#latencies.clear();
    for (let at = 0; at < latenciesNs.length; at += 2) {
      this.#latencies.set(latenciesNs[at]!, latenciesNs[at + 1]!);
      this.#expired += latenciesNs[at + 1]!;
    }
  }

  summary(): TimerSummary {
    this.#keepLast(this.#last);
    return { armed: this.#armed, expired: this.#expired, latencyNs: summarise(this.#latencies, this.#expired) };
  }
}

/** Nearest-rank percentiles of `count` latencies: the smallest with at least so much of them at or below it. */
function summarise(counts: ReadonlyMap<number, number>, count: number): LatencySummary {
  if (count === 0) return { p50: null, p99: null, max: null };
  const ascending = [...counts].sort(([a], [b]) => a - b);
  const percentile = (percent: number): number => {
    let below = 0;
    for (const [latency, times] of ascending) {
      below += times;
      if (below >= (percent / 100) * count) return latency;
    }
    return ascending.at(-1)![0];
  };
  return { p50: percentile(50), p99: percentile(99), max: percentile(100) };
}
