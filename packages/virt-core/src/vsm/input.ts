/** Checks that hypercall inputs of guest VSM have in common. */
import { HV_PARTITION_ID_SELF_HALF } from '@paravisor/hcl-protocol';

export const LITTLE_ENDIAN = true;

/** Whether the 64-bit partition id at offset 0 means the caller's own. */
export function isOwnPartition(input: DataView): boolean {
  return input.getInt32(0, LITTLE_ENDIAN) === HV_PARTITION_ID_SELF_HALF && input.getInt32(4, LITTLE_ENDIAN) === HV_PARTITION_ID_SELF_HALF;
}
