/** Time as the paravisor tells it: unit conversions, VmTime with its waiter, and the reference clock. Who waits for a time lives elsewhere. */
export * from './conversions.js';
export * from './reference-clock.js';
export * from './vmtime.js';
