/** Checks that hypercall inputs of guest VSM have in common. Each gives an `HvStatus` where it fails. */
import { HV_PARTITION_ID_SELF_HALF, HvStatus, InputVtl } from '@paravisor/hcl-protocol';

export const LITTLE_ENDIAN = true;
const VTL_LIMIT = 3;

/** Whether the 64-bit partition id at offset 0 means the caller's own. */
export function isOwnPartition(input: DataView): boolean {
  return input.getInt32(0, LITTLE_ENDIAN) === HV_PARTITION_ID_SELF_HALF && input.getInt32(4, LITTLE_ENDIAN) === HV_PARTITION_ID_SELF_HALF;
}

/** Whether the number names a VTL at all: 0 to 2. */
export const isVtl = (value: number): boolean => value < VTL_LIMIT;

/** The VTL a call is about, or −status: HV_INPUT_VTL gives one, or stands for the caller's; it must not be above the caller's. */
export function targetVtlOf(inputVtl: number, callerVtl: number): number {
  if ((inputVtl & InputVtl.Reserved) !== 0) return -HvStatus.InvalidParameter;
  if ((inputVtl & InputVtl.UseTargetVtl) === 0) return callerVtl;
  const vtl = inputVtl & InputVtl.VtlMask;
  if (!isVtl(vtl)) return -HvStatus.InvalidParameter;
  return vtl > callerVtl ? -HvStatus.AccessDenied : vtl;
}
