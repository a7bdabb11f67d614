import { U64 } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerStatistics } from './timer-statistics.js';

const statisticsOf = (latencies: readonly number[]): TimerStatistics => {
  const statistics = new TimerStatistics();
  for (const latency of latencies) {
    statistics.armed();
    statistics.delivered(0, 0, 0, U64.of(1000n), U64.of(1000 + latency));
  }
  return statistics;
};

describe('TimerStatistics', () => {
  it('is null before anything was delivered', () => {
    expect(new TimerStatistics().summary()).toEqual({ armed: 0, expired: 0, latencyNs: { p50: null, p99: null, max: null } });
  });

  it('counts every latency, in ns', () => {
    const statistics = statisticsOf(Array.from({ length: 3000 }, (_, latency) => latency));
    expect(statistics.summary()).toEqual({ armed: 3000, expired: 3000, latencyNs: { p50: 149_900, p99: 296_900, max: 299_900 } });
  });

  it('has the nearest rank as percentile: a value that there was, the smallest at or below which the share is', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 300 }), (latencies) => {
        const ascending = latencies.toSorted((a, b) => a - b);
        const rank = (percent: number): number => 100 * ascending[Math.ceil((percent / 100) * ascending.length) - 1]!;
        expect(statisticsOf(latencies).summary().latencyNs).toEqual({ p50: rank(50), p99: rank(99), max: 100 * ascending.at(-1)! });
      }),
    );
  });

  it('goes on as it was saved', () => {
    const statistics = statisticsOf([7, 3, 7]);
    const restored = new TimerStatistics();
    restored.restore(statistics.save());
    for (const each of [statistics, restored]) each.delivered(0, 0, 0, U64.of(0n), U64.of(5n));
    expect(restored.save()).toEqual(statistics.save());
    expect(restored.summary()).toEqual(statistics.summary());
  });
});
