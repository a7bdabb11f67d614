/** The body of the tests: it is handed a partition and does not know which backing is in it, or who put it together. */
import { readFileSync } from 'node:fs';
import type { Partition, PartitionLoader } from '@paravisor/partition';
import { readTmk, tmkLoader } from '@paravisor/partition';
import { expect } from 'vitest';

const image = readTmk(readFileSync(new URL(import.meta.resolve('@paravisor/tmk-guests/elf/timers.elf'))));

/** Loads a guest that takes 1000 ticks of a synthetic timer at 1000 Hz, spinning in between, and checks each of them itself. */
export const busyTicks: PartitionLoader = tmkLoader(
  image,
  image.tests.findIndex(({ name }) => name === 'timers::stimer_periodic_busy'),
);

/** The host's timer exits that a backing may cost this guest. */
export interface HostTimerBudget {
  readonly atLeast: number;
  readonly atMost: number;
}

/** What each backing should cost: a hardware timer is invisible to the host, a VmTime timer is armed by it once a tick or more. */
export const budgets: Readonly<Record<string, HostTimerBudget>> = {
  tdx: { atLeast: 0, atMost: 0 },
  snp: { atLeast: 1000, atMost: 5000 },
};

/** The guest gets all its ticks, and the host is asked for no more than the budget. */
export function expectBusyTicks(partition: Partition, budget: HostTimerBudget): void {
  expect(partition.run({ timeoutNs: 10e9 })).toEqual({ kind: 'passed', reason: null });
  expect(partition.timers.expired).toBe(1000);

  const { timer_arm: armed = 0 } = partition.ledger.snapshot().byReason.hypervisor;
  expect(armed).toBeGreaterThanOrEqual(budget.atLeast);
  expect(armed).toBeLessThanOrEqual(budget.atMost);
}
