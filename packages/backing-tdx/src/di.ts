/** Registers the TDX backing with a container. */
import { backingModule } from '@paravisor/virt-core/di';
import { tdxBackingFactory } from './backing.js';
import { tdxGuestTimer } from './paravisor/index.js';

/** Load it into the composition root's container. */
export const tdxBackingModule = backingModule({ factory: tdxBackingFactory, createGuestTimer: tdxGuestTimer });
