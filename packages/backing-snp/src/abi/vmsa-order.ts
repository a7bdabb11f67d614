/** Registers of the VMSA in the order every interface names them, as data for both halves (APM volume 2, table B-4). */
import { VmsaSelector } from '@paravisor/hcl-protocol';

/** Fields of the first eight general registers, RAX RCX RDX RBX RSP RBP RSI RDI; R8 to R15 follow in `r8to15`. */
export const lowGprs = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;

/** Selector of each segment in the order ES CS SS DS FS GS LDTR TR, which virt-core's `Segment` and the processor's segment records share. */
export const segmentSelectors = [
  VmsaSelector.Es,
  VmsaSelector.Cs,
  VmsaSelector.Ss,
  VmsaSelector.Ds,
  VmsaSelector.Fs,
  VmsaSelector.Gs,
  VmsaSelector.Ldtr,
  VmsaSelector.Tr,
] as const;

/** Selector of GDTR and IDTR, in the order of virt-core's `Table`. */
export const tableSelectors = [VmsaSelector.Gdtr, VmsaSelector.Idtr] as const;
