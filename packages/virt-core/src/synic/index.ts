/** The synthetic interrupt controller of one lower VTL of one VP: SINTs, message and event pages, four timers. What it raises goes into a sink. */
export { EVENT_FLAGS_PER_SINT, MESSAGE_PAYLOAD_BYTES, OwnPort, ownConnection, SynicPorts } from './ports.js';
export type { EventListener, EventPort, MessageListener, MessagePort, SynicPortTargets, SynicPortsState, SynicTarget } from './ports.js';
export { filterProxiedVectors } from './proxy-filter.js';
export { PostStatus, Synic } from './synic.js';
export type { SynicOptions, SynicState } from './synic.js';
export type { SynicInterruptSink } from './sints.js';
export type { SyntheticTimer } from './stimer.js';
