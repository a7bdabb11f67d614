/** Swapping by container: the same body, and the backing is one binding. */
import { BACKING_FACTORIES } from '@paravisor/virt-core/di';
import { describe, expect, it } from 'vitest';
import { BACKING_NAME, GUEST, PARTITION, partitionContainer } from './partition-container.js';
import { budgets, busyTicks, expectBusyTicks } from './periodic-timer.js';

const names = partitionContainer()
  .getAll(BACKING_FACTORIES)
  .map(({ name }) => name);

it('knows the backings whose modules were loaded', () => {
  expect(names).toEqual(['tdx', 'snp']);
});

describe.each(names)('%s', (name) => {
  it('ticks a busy guest within its budget of host timer exits', () => {
    const container = partitionContainer();
    container.bind(BACKING_NAME).toConstantValue(name);
    container.bind(GUEST).toConstantValue(busyTicks);
    expectBusyTicks(container.get(PARTITION), budgets[name]!);
  });
});

it('says which backings there are when asked for another', () => {
  const container = partitionContainer();
  container.bind(BACKING_NAME).toConstantValue('cca');
  container.bind(GUEST).toConstantValue(busyTicks);
  expect(() => container.get(PARTITION)).toThrow('no module brings a backing called "cca": tdx, snp are here');
});
