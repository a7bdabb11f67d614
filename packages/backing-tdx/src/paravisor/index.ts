/** The paravisor half: the TDX backing as user mode in VTL2 has it. It sees the ioctl line and its pages, never the machine half. */
export { TdxShared } from './shared.js';
export type { TdxSettings } from './settings.js';
export { TscDeadlineService, TscDeadlineState, createTdxGuestTimer } from './timer/index.js';
export type { TscDeadlineVp } from './timer/index.js';
