import { HvStatus, InputVtl } from '@paravisor/hcl-protocol';

const VTL_LIMIT = 3;

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
