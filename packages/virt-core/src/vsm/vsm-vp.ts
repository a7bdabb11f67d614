import type { U64, ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { BackingVp, MsrStatus } from '../contract/index.js';
import type { VpVsm } from './vp-vsm.js';
import type { VtlSwitch } from './vtl-switch.js';

/** A VP as the hypercalls of guest VSM see it: their own, or another whose thread takes what is left for it. */
export interface VsmVp {
  readonly index: number;
  readonly apicId: number;
  readonly backing: BackingVp;
  readonly vsm: VpVsm;
  readonly vtlSwitch: VtlSwitch;
  /** The VTL's MSRs as the hypervisor keeps them. */
  readMsr(vtl: number, msr: number, out: U64): MsrStatus;
  writeMsr(vtl: number, msr: number, value: ReadonlyU64): MsrStatus;
  /** A start request waits in `vsm`: the VP's next round takes it, and comes soon. */
  wakeForStart(vtl: number): void;
}
