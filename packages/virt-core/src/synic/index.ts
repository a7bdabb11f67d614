/** The synthetic interrupt controller of one lower VTL of one VP: SINTs, message and event pages, four timers. What it raises goes into a sink. */
export * from './synic.js';
