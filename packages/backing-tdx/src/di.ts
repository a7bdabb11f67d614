/** Registers the TDX backing with a container. */
import { backingModule } from '@paravisor/virt-core/di';
import { tdxBackingFactory } from './backing.js';
import { createTdxGuestTimer } from './paravisor/index.js';

/** Load it into the composition root's container. Its guest timer is the one the driver's answer and the parameters lead to. */
export const tdxBackingModule = backingModule({ factory: tdxBackingFactory, createGuestTimer: createTdxGuestTimer });
