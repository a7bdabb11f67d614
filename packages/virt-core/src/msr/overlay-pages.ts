import { hvReferenceTscPageLayout, PAGE_SIZE, viewOf } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** Processor makers, as far as the paravisor tells them apart. */
export type ProcessorVendor = 'intel' | 'amd';

/** VMCALL and VMMCALL (Intel SDM volume 2, AMD APM volume 3). */
const callInstruction = { intel: [0x0f, 0x01, 0xc1], amd: [0x0f, 0x01, 0xd9] } as const;
const RET = 0xc3;
const INT3 = 0xcc;
const VTL_CALL = 0x11;
const VTL_RETURN = 0x12;
const MOV_ECX_EAX = [0x89, 0xc1] as const;
const MOV_RAX_RCX = [0x48, 0x89, 0xc8] as const;
const movEax = (code: number): readonly number[] => [0xb8, code, 0, 0, 0];
const movEcx = (code: number): readonly number[] => [0xb9, code, 0, 0, 0];

/**
 * Where in the hypercall page the code of a VTL call and of a VTL return starts: what register VsmCodePageOffsets tells a secure kernel (TLFS
 * "HvRegisterVsmCodePageOffsets"; the same for all VTLs and makers in openvmm's page).
 */
export const hypercallCodeOffsets = { bits32: { call: 0x04, return: 0x1b }, bits64: { call: 0x0f, return: 0x26 } } as const;

/**
 * Contents of the hypercall page: a call instruction the processor has, behind it VTL call and VTL return for 32-bit and 64-bit callers, whose control
 * value the code itself supplies, and INT3 to catch stray jumps into the rest.
 */
export function hypercallPage(vendor: ProcessorVendor): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE).fill(INT3);
  const call = [...callInstruction[vendor], RET];
  page.set(call);
  const { bits32, bits64 } = hypercallCodeOffsets;
  page.set([...MOV_ECX_EAX, ...movEax(VTL_CALL), ...call], bits32.call);
  page.set([...MOV_RAX_RCX, ...movEcx(VTL_CALL), ...call], bits64.call);
  page.set([...MOV_ECX_EAX, ...movEax(VTL_RETURN), ...call], bits32.return);
  page.set([...MOV_RAX_RCX, ...movEcx(VTL_RETURN), ...call], bits64.return);
  return page;
}

/** Contents of the reference TSC page (TLFS "Partition Reference TSC Mechanism"): reference time = (TSC × scale) >> 64 + offset; the offset is 0. */
export function referenceTscPage(sequence: number, scale: ReadonlyU64): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE);
  const fields = viewOf(hvReferenceTscPageLayout, page);
  fields.sequence = sequence;
  fields.scale.set(scale);
  return page;
}
