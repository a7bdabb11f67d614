/** Numbers of the Intel TDX module 1.5 ABI and TD partitioning that VTL2 uses. */
import { defineLayout, u64At, viewOf } from './layout.js';
import type { View } from './layout.js';

/** TDCALL leaves (RAX). */
export const TdcallLeaf = { VpVmcall: 0, VpInfo: 1, VmRd: 7, VmWr: 8, VpRd: 9, VpWr: 10, VpEnter: 25, VpInvgla: 27 } as const;

/** Completion status codes: the high half of RAX. Open: a number with named cases. */
export const TdxStatus = {
  Success: 0,
  L2ExitHostRoutedAsync: 0x1100,
  L2ExitHostRoutedTdvmcall: 0x1101,
  L2ExitPendingInterrupt: 0x1102,
  PendingInterrupt: 0x1120,
  OperandInvalid: 0xc0000100,
  MetadataFieldIdIncorrect: 0xc0000c00,
} as const;

/** The TDCALL ioctl's argument: seven packed u64 (openvmm `mshv_tdcall`). It never carries VP.VMCALL. */
export const tdcallArgumentLayout = defineLayout({
  name: 'mshv_tdcall',
  size: 56,
  fields: { rax: u64At(0), rcx: u64At(8), rdx: u64At(16), r8: u64At(24), r9: u64At(32), r10Out: u64At(40), r11Out: u64At(48) },
});
export type TdcallArgument = View<(typeof tdcallArgumentLayout)['fields']>;
export const newTdcallArgument = (): TdcallArgument => viewOf(tdcallArgumentLayout, new Uint8Array(tdcallArgumentLayout.size));

/** L2 VM indices of a TD (TD partitioning); VTL0 runs in VM 1, VTL1 in VM 2. */
export const l2VmOfVtl = (vtl: number): number => vtl + 1;
export const L2_VM_COUNT = 3;

/** TDX extended metadata field codes used here: base for VM 0; add the L2 VM index. As high and low halves. */
export const TdvpsField = {
  /** TDVPS.TSC_DEADLINE[0] = 0xA020000300000058. */
  TscDeadline: { hi: 0xa0200003 | 0, lo: 0x58 },
  /** TDVPS.L2_CTLS[0] = 0xA020000300000050: bit 0 shared EPT, bit 1 TDVMCALL to the host. */
  L2Ctls: { hi: 0xa0200003 | 0, lo: 0x50 },
} as const;
export const L2Ctl = { EnableSharedEpt: 1, EnableTdvmcall: 2 } as const;

/** Where the parts of an extended field code are (TDX module ABI, "MD_FIELD_ID"). Bit positions in the 64-bit code. */
export const MetadataFieldId = {
  fieldCode: { first: 0, bits: 24 },
  elementSize: { first: 32, bits: 2 },
  lastElement: { first: 34, bits: 4 },
  lastField: { first: 38, bits: 9 },
  increment: { first: 50, bits: 1 },
  writeMaskValid: { first: 51, bits: 1 },
  context: { first: 52, bits: 3 },
  classCode: { first: 56, bits: 6 },
  nonArch: { first: 63, bits: 1 },
} as const;

/** Class codes of the L2 VMCS, by L2 VM index (1, 2, 3). */
export const L2_VMCS_CLASS = [0, 36, 44, 52] as const;
/** Context code of a field kept per VP. */
export const METADATA_CONTEXT_VP = 2;

/** RCX of TDG.VP.ENTER, high half: the L2 VM index is bits 53:52. Low half bits 1:0: TLB invalidation. */
export const EntryRcx = { HighVmShift: 20, HighVmMask: 3 << 20 } as const;

/** Bits 1:0 of `entryRcx`: what the module invalidates at the entry (TDX module ABI, TDG.VP.ENTER). */
export const TlbInvalidation = { None: 0, AllGuestPhysical: 1, AllContexts: 2, NonGlobalContexts: 3 } as const;

/** exit_info.r13 low bits: extended exit qualification types. */
export const ExtendedExitQualification = { PendingEptViolation: 6 } as const;
