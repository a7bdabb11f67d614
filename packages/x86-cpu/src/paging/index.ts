/** Linear to guest physical addresses: the walk itself, over any memory. Caching its results is the processor's business. */
export * from './paging-state.js';
export { readPdptes, PdpteStatus } from './pdptes.js';
export { walk } from './walk.js';
