/** HvCallGetVpRegisters and HvCallSetVpRegisters (TLFS 7.8; openvmm `GetVpRegisters`, `SetVpRegisters` of `hardware_cvm`): of the calling VP only. */
import { HV_VP_INDEX_SELF, HvStatus, hvRegisterAssocLayout, hvVpRegistersHeaderLayout } from '@paravisor/hcl-protocol';
import { HvCallCode } from '../hypercall/control.js';
import type { HypercallContext, HypercallHandler } from '../hypercall/handler.js';
import type { VsmCallsOptions } from './enable-vtl.js';
import { targetVtlOf } from '../hypercall/target-vtl.js';
import { LITTLE_ENDIAN, isOwnPartition } from './input.js';
import { RegisterAccess } from './register-access.js';

const header = hvVpRegistersHeaderLayout;
const assoc = hvRegisterAssocLayout;
const NAME_BYTES = 4;
const VALUE_BYTES = 16;

const isSelf = ({ input, vp }: HypercallContext): boolean => {
  const index = input.getUint32(header.fields.vpIndex.offset, LITTLE_ENDIAN);
  return index === HV_VP_INDEX_SELF || index === vp;
};

/** Reads registers by name. */
export function getVpRegisters(options: VsmCallsOptions): HypercallHandler {
  const access = new RegisterAccess(options);
  const call = (context: HypercallContext): number => {
    const { input, output, vp, vtl: caller, repCount } = context;
    if (!isOwnPartition(input) || !isSelf(context)) return HvStatus.AccessDenied;
    const vtl = targetVtlOf(input.getUint8(header.fields.inputVtl.offset), caller);
    if (vtl < 0) return -vtl;
    for (; context.repsDone < repCount; context.repsDone++) {
      const name = input.getUint32(header.size + NAME_BYTES * context.repsDone, LITTLE_ENDIAN);
      const status = access.get(options.vps[vp]!, caller, vtl, name, output, VALUE_BYTES * context.repsDone);
      if (status !== HvStatus.Success) return status;
    }
    return HvStatus.Success;
  };
  return {
    code: HvCallCode.GetVpRegisters,
    inputBytes: header.size,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: { inputBytes: NAME_BYTES, outputBytes: VALUE_BYTES },
    call,
  };
}

/** Writes registers by name. */
export function setVpRegisters(options: VsmCallsOptions): HypercallHandler {
  const access = new RegisterAccess(options);
  const call = (context: HypercallContext): number => {
    const { input, vp, vtl: caller, repCount } = context;
    if (!isOwnPartition(input)) return HvStatus.AccessDenied;
    if (!isSelf(context)) return HvStatus.InvalidVpIndex;
    const vtl = targetVtlOf(input.getUint8(header.fields.inputVtl.offset), caller);
    if (vtl < 0) return -vtl;
    for (; context.repsDone < repCount; context.repsDone++) {
      const at = header.size + assoc.size * context.repsDone;
      const name = input.getUint32(at + assoc.fields.name.offset, LITTLE_ENDIAN);
      const status = access.set(options.vps[vp]!, caller, vtl, name, input, at + assoc.fields.value.offset);
      if (status !== HvStatus.Success) return status;
    }
    return HvStatus.Success;
  };
  return {
    code: HvCallCode.SetVpRegisters,
    inputBytes: header.size,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: { inputBytes: assoc.size, outputBytes: 0 },
    call,
  };
}
