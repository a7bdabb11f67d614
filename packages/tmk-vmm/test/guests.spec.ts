/** The guests about SynIC, APIC and deadlines: each test passes, and says the same, under every backing and timer and at every speed. */
import { describe, expect, it } from 'vitest';
import { everyConfiguration, guestImage, runTest } from './whole-partition.js';

/** Guest speed, and a pair of frequencies that nothing divides. */
const speeds = [{}, { tscHz: 2_100_000_123, ips: 7_000_003 }] as const;

/** Two tests meet what the TDX driver finishes otherwise than user mode: see tdx-hazards.spec.ts. */
const differing = ['apic::low_vectors_not_requested', 'deadlines::guest_idle_reads_zero'];
const tests = (['apic', 'deadlines', 'synic'] as const).flatMap((name) => guestImage(name).tests.map((test) => test.name)).filter((name) => !differing.includes(name));

describe('guests of one VP and one VTL', () => {
  it.each(tests)('passes with the same log under every backing, timer and speed: %s', (name) => {
    const logs = everyConfiguration.flatMap((configuration) =>
      speeds.map((speed) => {
        const { outcome, partition } = runTest(name, configuration, speed);
        expect(outcome, configuration).toEqual({ kind: 'passed', reason: null });
        return partition.log;
      }),
    );
    expect(logs[0]!.length).toBe(1);
    for (const log of logs) expect(log).toEqual(logs[0]);
  });
});
