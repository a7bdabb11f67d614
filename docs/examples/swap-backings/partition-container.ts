/** A partition from an inversify container: it knows every backing whose module it loads, and which one to use is a binding as well. */
import { snpBackingModule } from '@paravisor/backing-snp/di';
import { tdxBackingModule } from '@paravisor/backing-tdx/di';
import type { Partition, PartitionLoader } from '@paravisor/partition';
import { createPartition } from '@paravisor/partition';
import type { BackingFactory } from '@paravisor/virt-core';
import { BACKING_FACTORIES, token } from '@paravisor/virt-core/di';
import type { MachineBacking } from '@paravisor/virt-machine';
import { Container } from 'inversify';

/** The name of the backing to use; what a test rebinds. */
export const BACKING_NAME = token<string>('swap-backings.BackingName');
/** The guest. */
export const GUEST = token<PartitionLoader>('swap-backings.Guest');
/** A partition with that backing and that guest: a new one each time, because a partition runs once. */
export const PARTITION = token<Partition>('swap-backings.Partition');

/** A container that can make partitions once `BACKING_NAME` and `GUEST` are bound. */
export function partitionContainer(): Container {
  const container = new Container();
  container.load(tdxBackingModule, snpBackingModule);
  container.bind(PARTITION).toDynamicValue((context) => partitionOf(context.getAll(BACKING_FACTORIES), context.get(BACKING_NAME), context.get(GUEST)));
  return container;
}

function partitionOf(factories: readonly BackingFactory[], name: string, load: PartitionLoader): Partition {
  const factory = factories.find((candidate) => candidate.name === name);
  if (!factory) throw new Error(`no module brings a backing called "${name}": ${factories.map((known) => known.name).join(', ')} are here`);
  // A backing's module promises a machine half as well; the token speaks of the paravisor half alone, since virt-core knows no machine.
  return createPartition({ backing: (factory as BackingFactory<MachineBacking>).create({}), load });
}
