/** One interrupt to many VPs in one exit (TLFS "HvCallSendSyntheticClusterIpi"; openvmm `cvm_send_synthetic_cluster_ipi`). */
import { HvStatus } from '@paravisor/hcl-protocol';
import { HvCallCode } from './control.js';
import type { HypercallContext, HypercallHandler } from './handler.js';
import { targetVtlOf } from './target-vtl.js';
import { VpSet } from './vp-set.js';

/** Input: vector, target VTL, flags, two reserved bytes, and the VPs: a mask, or a set in the variable header. */
const Input = { Vector: 0, TargetVtl: 4, Flags: 5, Processors: 8, Bytes: 16, BytesEx: 8 } as const;
const VTL0 = 0;
const FIRST_LEGAL_VECTOR = 16;
const LAST_VECTOR = 255;

/** What an IPI does at the VPs it reaches. */
export interface IpiTargets {
  readonly vpCount: number;
  /** A fixed, edge-triggered interrupt for the local APIC of that VP and VTL. */
  requestInterrupt(vp: number, vtl: number, vector: number): void;
}

function send(context: HypercallContext, processors: VpSet, targets: IpiTargets): number {
  const { input, vtl } = context;
  const target = targetVtlOf(input.getUint8(Input.TargetVtl), vtl);
  if (target === -HvStatus.InvalidParameter || input.getUint8(Input.Flags) !== 0) return HvStatus.InvalidParameter;
  if (target < 0) return -target;
  // Only VTL0's APICs are reached so: a secure kernel sends its IPIs through its own.
  if (target !== VTL0) return HvStatus.InvalidVtlState;
  const vector = input.getUint32(Input.Vector, true);
  if (vector < FIRST_LEGAL_VECTOR || vector > LAST_VECTOR) return HvStatus.InvalidParameter;
  // VPs that do not exist are passed over.
  for (let vp = 0; vp < targets.vpCount; vp++) if (processors.has(vp)) targets.requestInterrupt(vp, target, vector);
  return HvStatus.Success;
}

/** To VPs 0 to 63. */
export function sendSyntheticClusterIpi(targets: IpiTargets): HypercallHandler {
  const processors = new VpSet();
  return {
    code: HvCallCode.SendSyntheticClusterIpi,
    inputBytes: Input.Bytes,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: null,
    call(context) {
      processors.readMask(context.input, Input.Processors);
      return send(context, processors, targets);
    },
  };
}

/** To a sparse set of VPs. */
export function sendSyntheticClusterIpiEx(targets: IpiTargets): HypercallHandler {
  const processors = new VpSet();
  return {
    code: HvCallCode.SendSyntheticClusterIpiEx,
    inputBytes: Input.BytesEx,
    outputBytes: 0,
    takesVariableHeader: true,
    rep: null,
    call(context) {
      if (!processors.readSparse(context.input, Input.Processors, context.variableHeaderBytes)) return HvStatus.InvalidParameter;
      return send(context, processors, targets);
    },
  };
}
