/**
 * Typed tokens, and the module that binds what virt-core brings. Wiring by container is a convenience of the composition root: everything here can
 * be put together by plain calls as well.
 *
 * inversify brings its own `reflect-metadata`; with `toResolvedValue` no decorator and no further import of it is needed.
 */
import { ContainerModule } from 'inversify';
import type { ServiceIdentifier } from 'inversify';
import type { BackingFactory, BackingParameters, HardwareIsolatedGuestTimer } from './contract/index.js';
import { createParavisor } from './vp/index.js';
import type { Paravisor, ParavisorOptions } from './vp/index.js';

/**
 * Identifies a service of type `T` in a container. A symbol at run time; its type is one of inversify's identifier types that carry `T`, so that
 * `bind(TOKEN).toConstantValue(v)`, `container.get(TOKEN)` and the tokens of `toResolvedValue` are checked.
 */
export type Token<T> = Extract<ServiceIdentifier<T>, abstract new (...args: never[]) => T>;

/** Makes a token; `description` is what the container's error messages show. */
export function token<T>(description: string): Token<T> {
  return Symbol(description) as unknown as Token<T>;
}

/** Makes a partition's guest timer as a backing would with the given parameters. May throw `StartupError`. */
export type GuestTimerFactory = (parameters: BackingParameters) => HardwareIsolatedGuestTimer;

/** Every backing the container knows: one binding a backing, so resolve it with `getAll` or `isMultiple`. */
export const BACKING_FACTORIES = token<BackingFactory>('paravisor.BackingFactory');
/** One binding a backing, under the backing's name: `container.get(HARDWARE_ISOLATED_GUEST_TIMER, { name: 'tdx' })`. */
export const HARDWARE_ISOLATED_GUEST_TIMER = token<GuestTimerFactory>('paravisor.HardwareIsolatedGuestTimer');
/** Whether a backing's guest timer can be hardware virtualized; one binding a backing, under the backing's name. */
export const USES_HARDWARE_TIMER = token<boolean>('paravisor.usesHardwareTimer');

/** What a backing's `di.ts` registers. */
export interface BackingServices {
  readonly factory: BackingFactory;
  readonly createGuestTimer: GuestTimerFactory;
}

/** The module of one backing, built-in or third-party: load it into the composition root's container. */
export function backingModule({ factory, createGuestTimer }: BackingServices): ContainerModule {
  // The one value the module has from outside; what else it says about the backing is read off it.
  const thisFactory = token<BackingFactory>(`paravisor.BackingFactory ${factory.name}`);
  return new ContainerModule(({ bind }) => {
    bind(thisFactory).toConstantValue(factory);
    bind(BACKING_FACTORIES).toResolvedValue((known: BackingFactory) => known, [thisFactory]);
    bind(USES_HARDWARE_TIMER).toResolvedValue(({ usesHardwareTimer }: BackingFactory) => usesHardwareTimer, [thisFactory]).whenNamed(factory.name);
    bind(HARDWARE_ISOLATED_GUEST_TIMER).toConstantValue(createGuestTimer).whenNamed(factory.name);
  });
}

/** What a partition's paravisor is started with: bound by whoever puts the partition together, before `PARAVISOR` is asked for. */
export const PARAVISOR_OPTIONS = token<ParavisorOptions>('paravisor.ParavisorOptions');
/** A partition's paravisor, one a container. Asking for it may throw `StartupError`. */
export const PARAVISOR = token<Paravisor>('paravisor.Paravisor');

/** What virt-core brings. Load it into a container of the partition, since the paravisor is a singleton there. */
export const virtCoreModule = new ContainerModule(({ bind }) => {
  bind(PARAVISOR).toResolvedValue(createParavisor, [PARAVISOR_OPTIONS]).inSingletonScope();
});
