import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';

/** Hypercall call codes (TLFS appendix A). */
export const HvCallCode = { NotifyLongSpinWait: 0x0008 } as const;

/** Bits 63:60, 47:44 of the high half and 31:27 of the low half must be zero (TLFS "Hypercall Inputs"). */
const RESERVED_LOW = 0xf8000000 | 0;
const RESERVED_HIGH = 0xf000f000 | 0;

/** Call code of a hypercall control value. */
export function callCodeOf(control: ReadonlyU64): number {
  return control.lo & 0xffff;
}

/** Whether a control value is one a simple call (no repetitions) may have: reserved bits, variable header size, rep count and rep start all zero. */
export function isSimpleCall(control: ReadonlyU64): boolean {
  const variableHeaderSize = (control.lo >>> 17) & 0x3ff;
  const repCount = control.hi & 0xfff;
  const repStart = (control.hi >>> 16) & 0xfff;
  return (control.lo & RESERVED_LOW) === 0 && (control.hi & RESERVED_HIGH) === 0 && variableHeaderSize === 0 && repCount === 0 && repStart === 0;
}

/** Result value of a call that completed no repetitions: status in bits 15:0. */
export function resultOf(status: number, out: U64): void {
  out.setParts(status & 0xffff, 0);
}
