/** The paravisor half: what user mode in VTL2 does for a TDX partition. It sees the ioctl line and its pages, never the machine half. */
export { TdxShared, tdxGuestTimer } from './shared.js';
export { TscDeadlineService, TscDeadlineState } from './tsc-deadline-service.js';
export type { TscDeadlineVp } from './tsc-deadline-service.js';
