import { U64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { TimerStatistics, nearestRank } from './timer-statistics.js';

describe('nearest-rank percentiles', () => {
  it('pick a value of the list, the smallest that covers the share', () => {
    const ten = Float64Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([nearestRank(ten, 50), nearestRank(ten, 99), nearestRank(ten, 10), nearestRank(ten, 11)]).toEqual([5, 10, 1, 2]);
    expect(nearestRank(Float64Array.of(7), 1)).toBe(7);
  });
});

describe('TimerStatistics', () => {
  it('is null before anything was delivered', () => {
    expect(new TimerStatistics().summary()).toEqual({ armed: 0, expired: 0, latencyNs: { p50: null, p99: null, max: null } });
  });

  it('keeps every latency, in ns, also past its first buffer', () => {
    const statistics = new TimerStatistics();
    for (let i = 0; i < 3000; i++) {
      statistics.armed();
      statistics.delivered(0, 0, 0, U64.of(1000n), U64.of(1000 + i));
    }
    expect(statistics.summary()).toEqual({ armed: 3000, expired: 3000, latencyNs: { p50: 149_900, p99: 296_900, max: 299_900 } });
  });
});
