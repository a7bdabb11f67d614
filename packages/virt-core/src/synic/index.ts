/** The synthetic interrupt controller of one lower VTL of one VP: SINTs, message and event pages, four timers. What it raises goes into a sink. */
export { PostStatus, Synic } from './synic.js';
export type { SynicOptions } from './synic.js';
export type { SynicInterruptSink } from './sints.js';
export type { SyntheticTimer } from './stimer.js';
