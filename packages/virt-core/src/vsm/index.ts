/** Guest VSM: VTL1 of a partition and of a VP, switching between VTLs, and the hypercalls for both. When a round does what is the VP loop's. */
import type { HypercallHandler, VtlSwitchHandler } from '../hypercall/handler.js';
import { enablePartitionVtl, enableVpVtl } from './enable-vtl.js';
import type { VsmCallsOptions } from './enable-vtl.js';
import { getVpIndexFromApicId, startVirtualProcessor } from './start-vp.js';
import { getVpRegisters, setVpRegisters } from './vp-registers.js';
import { vtlCall, vtlReturn } from './vtl-calls.js';

export type { VsmCallsOptions } from './enable-vtl.js';
export { GuestVsm, VsmState } from './guest-vsm.js';
export type { GuestVsmState } from './guest-vsm.js';
export { StartKind, StartRequest } from './start-request.js';
export type { StartRequestState } from './start-request.js';
export { VpVsm } from './vp-vsm.js';
export type { VpVsmState } from './vp-vsm.js';
export type { VsmVp } from './vsm-vp.js';
export { VtlSwitch } from './vtl-switch.js';

/** The hypercalls of guest VSM and of virtual processors. */
export const vsmHypercalls = (options: VsmCallsOptions): readonly (HypercallHandler | VtlSwitchHandler)[] =>
  [enablePartitionVtl, enableVpVtl, vtlCall, vtlReturn, getVpRegisters, setVpRegisters, startVirtualProcessor, getVpIndexFromApicId].map((make) => make(options));
