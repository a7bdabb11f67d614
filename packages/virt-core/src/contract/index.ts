/** What a backing, a chipset and an observer promise to the paravisor, and it to them. */
export * from './backing.js';
export * from './backing-vp.js';
export * from './chipset.js';
export * from './errors.js';
export * from './guest-timer.js';
export * from './observer.js';
export * from './registers.js';
export * from './status.js';
