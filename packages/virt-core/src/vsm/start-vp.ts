/** HvCallStartVirtualProcessor and HvCallGetVpIndexFromApicId (TLFS 7.8; openvmm `StartVirtualProcessor`, `GetVpIndexFromApicId`). */
import { HvStatus, hvGetVpIndexFromApicIdLayout, hvVpVtlContextLayout } from '@paravisor/hcl-protocol';
import { HvCallCode } from '../hypercall/control.js';
import type { HypercallContext, HypercallHandler } from '../hypercall/handler.js';
import type { VsmCallsOptions } from './enable-vtl.js';
import { isVtl } from '../hypercall/target-vtl.js';
import { LITTLE_ENDIAN, isOwnPartition } from './input.js';
import { StartKind, StartRequest } from './start-request.js';

const VTL0 = 0;
const VTL1 = 1;
const fields = hvVpVtlContextLayout.fields;
const apicIdFields = hvGetVpIndexFromApicIdLayout.fields;
const ELEMENT = 4;

/** Starts another VP, once: one that runs, or was started so before, cannot be started again. */
export function startVirtualProcessor({ vsm, vps }: VsmCallsOptions): HypercallHandler {
  const call = ({ input, vp, vtl: caller }: HypercallContext): number => {
    for (let byte = 0; byte < fields.reserved.size; byte++) if (input.getUint8(fields.reserved.offset + byte) !== 0) return HvStatus.InvalidParameter;
    const vtl = input.getUint8(fields.targetVtl.offset);
    if (!isVtl(vtl)) return HvStatus.InvalidParameter;
    if (!isOwnPartition(input)) return HvStatus.InvalidPartitionId;
    const vpIndex = input.getUint32(fields.vpIndex.offset, LITTLE_ENDIAN);
    const target = vps[vpIndex];
    if (target === undefined || vpIndex === vp) return HvStatus.InvalidVpIndex;
    if (vtl > caller) return HvStatus.AccessDenied;
    if (vtl === VTL1 && !target.vsm.vtl1EnableCalled) return HvStatus.InvalidVpState;
    if (caller === VTL0 && vsm.denyLowerVtlStartup) return HvStatus.AccessDenied;
    if (target.vsm.started) return HvStatus.InvalidVpState;
    target.vsm.started = true;
    target.vsm.requests[vtl] = new StartRequest(StartKind.StartVp, input, fields.context.offset);
    target.wakeForStart(vtl);
    return HvStatus.Success;
  };
  return { code: HvCallCode.StartVirtualProcessor, inputBytes: hvVpVtlContextLayout.size, outputBytes: 0, takesVariableHeader: false, rep: null, call };
}

/** VP indices by APIC ids. */
export function getVpIndexFromApicId({ vps }: VsmCallsOptions): HypercallHandler {
  const call = (context: HypercallContext): number => {
    const { input, output, vtl: caller, repCount } = context;
    const vtl = input.getUint8(apicIdFields.targetVtl.offset);
    if (!isVtl(vtl)) return HvStatus.InvalidParameter;
    if (!isOwnPartition(input)) return HvStatus.InvalidPartitionId;
    if (vtl > caller) return HvStatus.AccessDenied;
    for (; context.repsDone < repCount; context.repsDone++) {
      const apicId = input.getUint32(hvGetVpIndexFromApicIdLayout.size + ELEMENT * context.repsDone, LITTLE_ENDIAN);
      const target = vps.find((vp) => vp.apicId === apicId);
      if (target === undefined) return HvStatus.InvalidParameter;
      output.setUint32(ELEMENT * context.repsDone, target.index, LITTLE_ENDIAN);
    }
    return HvStatus.Success;
  };
  return {
    code: HvCallCode.GetVpIndexFromApicId,
    inputBytes: hvGetVpIndexFromApicIdLayout.size,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: { inputBytes: ELEMENT, outputBytes: ELEMENT },
    call,
  };
}
