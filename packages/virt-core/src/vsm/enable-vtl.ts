/** HvCallEnablePartitionVtl and HvCallEnableVpVtl (TLFS 15.5; openvmm `EnablePartitionVtl`, `EnableVpVtl` of `hardware_cvm`). */
import {
  EnablePartitionVtlFlag,
  HV_PARTITION_ID_SELF_HALF,
  HvStatus,
  U64,
  hvEnablePartitionVtlLayout,
  hvVpVtlContextLayout,
} from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { HvCallCode } from '../hypercall/control.js';
import type { HypercallContext, HypercallHandler } from '../hypercall/handler.js';
import { VsmState } from './guest-vsm.js';
import type { GuestVsm } from './guest-vsm.js';
import { isVtl } from '../hypercall/target-vtl.js';
import { LITTLE_ENDIAN, isOwnPartition } from './input.js';
import { StartKind, StartRequest } from './start-request.js';
import type { VsmVp } from './vsm-vp.js';

const VTL1 = 1;
const partitionFields = hvEnablePartitionVtlLayout.fields;
const vpFields = hvVpVtlContextLayout.fields;

/** What the calls work on. */
export interface VsmCallsOptions {
  readonly hcl: Hcl;
  readonly vsm: GuestVsm;
  /** By VP index; filled before the first call. */
  readonly vps: readonly VsmVp[];
}

/** Makes VTL1 known to the partition. The guest's flags are kept from the host, which has no say in them. */
export function enablePartitionVtl({ hcl, vsm }: VsmCallsOptions): HypercallHandler {
  const control = new U64().setParts(HvCallCode.EnablePartitionVtl, 0);
  const hostInput = new Uint8Array(hvEnablePartitionVtlLayout.size);
  const hostView = new DataView(hostInput.buffer);
  return {
    code: HvCallCode.EnablePartitionVtl,
    inputBytes: hvEnablePartitionVtlLayout.size,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: null,
    call({ input }) {
      // A number that names no VTL is refused before anything else, and so is every one but 1 after the partition id.
      const vtl = input.getUint8(partitionFields.targetVtl.offset);
      if (!isVtl(vtl)) return HvStatus.AccessDenied;
      if (!isOwnPartition(input)) return HvStatus.InvalidPartitionId;
      if (vtl !== VTL1) return HvStatus.AccessDenied;
      const flags = input.getUint8(partitionFields.flags.offset);
      if ((flags & (EnablePartitionVtlFlag.SupervisorShadowStack | EnablePartitionVtlFlag.HardwareHvpt)) !== 0) return HvStatus.InvalidParameter;
      if (vsm.state === VsmState.Unavailable) return HvStatus.AccessDenied;
      if (vsm.state === VsmState.Enabled) return HvStatus.VtlAlreadyEnabled;
      addressSelf(hostView, 0);
      hostView.setUint8(partitionFields.targetVtl.offset, VTL1);
      const status = hcl.hvcall(control, hostInput, hostInput.subarray(0, 0));
      if (status === HvStatus.Success) vsm.enable((flags & EnablePartitionVtlFlag.Mbec) !== 0);
      return status;
    },
  };
}

/**
 * Gives a VP its VTL1. VTL0 may do it for its own VP, as the first; after that VTL1 does it for the others. The context is left for the VP, which takes
 * it in its next round.
 */
export function enableVpVtl({ hcl, vsm, vps }: VsmCallsOptions): HypercallHandler {
  const control = new U64().setParts(HvCallCode.EnableVpVtl, 0);
  const hostInput = new Uint8Array(hvVpVtlContextLayout.size);
  const hostView = new DataView(hostInput.buffer);
  const call = ({ input, vp, vtl: caller }: HypercallContext): number => {
    const vtl = input.getUint8(vpFields.targetVtl.offset);
    if (!isVtl(vtl)) return HvStatus.InvalidParameter;
    if (!isOwnPartition(input)) return HvStatus.InvalidPartitionId;
    const vpIndex = input.getUint32(vpFields.vpIndex.offset, LITTLE_ENDIAN);
    const target = vps[vpIndex];
    if (target === undefined) return HvStatus.InvalidVpIndex;
    if (vtl !== VTL1) return HvStatus.InvalidParameter;
    if (vsm.state !== VsmState.Enabled) return HvStatus.InvalidVtlState;
    if (caller < VTL1 && (vsm.enabledOnAnyVp || vpIndex !== vp)) return HvStatus.AccessDenied;
    if (target.vsm.vtl1EnableCalled) return HvStatus.VtlAlreadyEnabled;
    // The host is told which VP, not with which registers.
    addressSelf(hostView, vpIndex);
    hostView.setUint8(vpFields.targetVtl.offset, VTL1);
    const status = hcl.hvcall(control, hostInput, hostInput.subarray(0, 0));
    if (status !== HvStatus.Success) return status;
    vsm.enabledOnAnyVp = true;
    target.vsm.vtl1EnableCalled = true;
    target.vsm.requests[VTL1] = new StartRequest(StartKind.EnableVpVtl, input, vpFields.context.offset);
    target.wakeForStart(VTL1);
    return HvStatus.Success;
  };
  return { code: HvCallCode.EnableVpVtl, inputBytes: hvVpVtlContextLayout.size, outputBytes: 0, takesVariableHeader: false, rep: null, call };
}

function addressSelf(input: DataView, vpIndex: number): void {
  input.setInt32(0, HV_PARTITION_ID_SELF_HALF, LITTLE_ENDIAN);
  input.setInt32(4, HV_PARTITION_ID_SELF_HALF, LITTLE_ENDIAN);
  input.setUint32(vpFields.vpIndex.offset, vpIndex, LITTLE_ENDIAN);
}
