/** The composition root: the one place where a container puts the rooms together. Built-in backings come in by the same door as others. */
import { snpBackingModule } from '@paravisor/backing-snp/di';
import { tdxBackingModule } from '@paravisor/backing-tdx/di';
import type { BackingFactory } from '@paravisor/virt-core';
import { BACKING_FACTORIES } from '@paravisor/virt-core/di';
import type { MachineBacking } from '@paravisor/virt-machine';
import { Container } from 'inversify';

/** A backing that a partition can be made with. */
export type RunnableBackingFactory = BackingFactory<MachineBacking>;

/** Every backing there is: the built-in ones, then those of plugins, in a fixed order. */
export function composeBackings(plugins: readonly RunnableBackingFactory[]): readonly RunnableBackingFactory[] {
  const container = new Container();
  container.load(tdxBackingModule, snpBackingModule);
  for (const factory of plugins) container.bind(BACKING_FACTORIES).toConstantValue(factory);
  // The token carries the paravisor half only; that a factory brings a machine half too is what the built-in modules promise and `plugins.ts` documents.
  return container.getAll(BACKING_FACTORIES) as RunnableBackingFactory[];
}
