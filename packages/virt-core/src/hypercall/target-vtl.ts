/** HV_INPUT_VTL: VTL in bits 3:0, bit 4 says that it is meant, the rest is reserved. */
const VTL_MASK = 0xf;
const USE_TARGET_VTL = 0x10;
const RESERVED = 0xe0;
const HIGHEST_VTL = 2;

/** The VTL a call is about, the caller's `own` when it names none; −1 when the byte is malformed (InvalidParameter). It may be above the caller's. */
export function targetVtlOf(input: number, own: number): number {
  if ((input & RESERVED) !== 0) return -1;
  if ((input & USE_TARGET_VTL) === 0) return own;
  const target = input & VTL_MASK;
  return target > HIGHEST_VTL ? -1 : target;
}
