/** Guest timers that need no particular backing. A hardware service belongs to the backing that has the hardware. */
export * from './vmtime-guest-timer.js';
