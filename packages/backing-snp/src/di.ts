/** Registers the SNP backing with a container. */
import { backingModule } from '@paravisor/virt-core/di';
import { snpBackingFactory } from './backing.js';
import { createSnpGuestTimer } from './paravisor/index.js';

/** Load it into the composition root's container. Its guest timer is the default one, with every option on. */
export const snpBackingModule = backingModule({ factory: snpBackingFactory, createGuestTimer: () => createSnpGuestTimer({ rearm: true, kernelStimer0: true }) });
