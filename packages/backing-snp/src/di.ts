/** The SNP backing's bindings for a container. */
import { backingModule } from '@paravisor/virt-core/di';
import { snpBackingFactory } from './backing.js';
import { createSnpGuestTimer } from './paravisor/index.js';

/** Registers the SNP backing's factory, its guest timer (PR 3935's) and that it uses no hardware timer. */
export const snpBackingModule = backingModule({ factory: snpBackingFactory, createGuestTimer: () => createSnpGuestTimer(true) });
