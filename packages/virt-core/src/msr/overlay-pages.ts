import { hvReferenceTscPageLayout, PAGE_SIZE, viewOf } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** Processor makers, as far as the paravisor tells them apart. */
export type ProcessorVendor = 'intel' | 'amd';

/** VMCALL and VMMCALL (Intel SDM volume 2, AMD APM volume 3), each with the RET behind it. */
const hypercallStub = { intel: [0x0f, 0x01, 0xc1, 0xc3], amd: [0x0f, 0x01, 0xd9, 0xc3] } as const;
const INT3 = 0xcc;

/** Contents of the hypercall page: a call instruction the processor has, and INT3 to catch stray jumps into the rest. */
export function hypercallPage(vendor: ProcessorVendor): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE).fill(INT3);
  page.set(hypercallStub[vendor]);
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
