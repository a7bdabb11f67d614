/** Swapping by plain calls: a backing is a value, and a partition takes one. */
import { snpBacking } from '@paravisor/backing-snp';
import { tdxBacking } from '@paravisor/backing-tdx';
import { createPartition } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { budgets, busyTicks, expectBusyTicks } from './periodic-timer.js';

describe.each([tdxBacking(), snpBacking()])('$name', (backing) => {
  it('ticks a busy guest within its budget of host timer exits', () => {
    expectBusyTicks(createPartition({ backing, load: busyTicks }), budgets[backing.name]!);
  });

  it('shows the guest the same on the timer that every backing has', () => {
    const partition = createPartition({ backing, load: busyTicks, guestTimer: 'vmtime' });
    expect(partition.usesHardwareTimer).toBe(false);
    expectBusyTicks(partition, { atLeast: 1000, atMost: 5000 });
  });
});
