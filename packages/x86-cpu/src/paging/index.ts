/** Linear to guest physical addresses: the walk itself, over any memory. Caching its results is the processor's business. */
export * from './walk.js';
