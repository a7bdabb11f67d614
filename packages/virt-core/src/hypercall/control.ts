import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';

/** Hypercall call codes (TLFS appendix A). */
export const HvCallCode = {
  FlushVirtualAddressSpace: 0x0002,
  FlushVirtualAddressList: 0x0003,
  NotifyLongSpinWait: 0x0008,
  SendSyntheticClusterIpi: 0x000b,
  EnablePartitionVtl: 0x000d,
  EnableVpVtl: 0x000f,
  VtlCall: 0x0011,
  VtlReturn: 0x0012,
  FlushVirtualAddressSpaceEx: 0x0013,
  FlushVirtualAddressListEx: 0x0014,
  SendSyntheticClusterIpiEx: 0x0015,
  GetVpRegisters: 0x0050,
  SetVpRegisters: 0x0051,
  PostMessage: 0x005c,
  SignalEvent: 0x005d,
  StartVirtualProcessor: 0x0099,
  GetVpIndexFromApicId: 0x009a,
} as const;

/**
 * Fields of a hypercall's control value (TLFS "Hypercall Inputs"). Bits that TLFS reserves (63:60, 47:44, 31:27) are not looked at, as in the
 * reference.
 */
export const callCodeOf = (control: ReadonlyU64): number => control.lo & 0xffff;
/** Input is in registers. */
export const isFastCall = (control: ReadonlyU64): boolean => (control.lo & (1 << 16)) !== 0;
export const variableHeaderBytesOf = (control: ReadonlyU64): number => ((control.lo >>> 17) & 0x3ff) * 8;
export const repCountOf = (control: ReadonlyU64): number => control.hi & 0xfff;
export const repStartOf = (control: ReadonlyU64): number => (control.hi >>> 16) & 0xfff;

/** The control value of the same call, to be continued at element `start`. */
export function setRepStart(control: U64, start: number): void {
  control.hi = (control.hi & ~(0xfff << 16)) | (start << 16);
}

/** Result value (TLFS "Hypercall Outputs"): status in bits 15:0, completed elements in 43:32. */
export function resultOf(status: number, repsDone: number, out: U64): void {
  out.setParts(status & 0xffff, repsDone);
}
