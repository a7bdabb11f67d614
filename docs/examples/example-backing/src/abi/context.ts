/**
 * What the two halves share: the 1024-byte context area of the run page. It holds the last exit, and for each lower VTL the registers and the event the
 * next entry injects, much as a VMCS does (Intel SDM volume 3, chapter 25).
 */
import {
  RUN_PAGE_CONTEXT_OFFSET,
  bytesAt,
  defineLayout,
  structArrayAt,
  structAt,
  u16At,
  u32At,
  u64ArrayAt,
  u64At,
  viewOf,
} from '@paravisor/hcl-protocol';
import type { View } from '@paravisor/hcl-protocol';

/** Why the lower VTL came back. Reasons and interruption information have VMX's numbers. */
const exitLayout = defineLayout({
  name: 'example_exit',
  size: 64,
  fields: {
    /** `VmxExit`. */
    reason: u32At(0),
    instructionLength: u32At(4),
    /** `IoQualification` of port I/O, `CrQualification` of a control-register access. */
    qualification: u32At(8),
    /** The event whose delivery the exit cut off, as `InterruptionInfo`, and its error code. */
    idtVectoring: u32At(12),
    idtVectoringErrorCode: u32At(16),
    pad: u32At(20),
    /** Guest physical address of an EPT violation. */
    gpa: u64At(24),
    reserved: bytesAt(32, 32),
  },
});

/** A segment register in VMX access-rights order. */
const segmentLayout = defineLayout({ name: 'example_segment', size: 16, fields: { selector: u16At(0), attributes: u16At(2), limit: u32At(4), base: u64At(8) } });

/** One lower VTL. */
export const vtlStateLayout = defineLayout({
  name: 'example_vtl_state',
  size: 448,
  fields: {
    /** RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
    gpr: u64ArrayAt(0, 16),
    rip: u64At(128),
    rflags: u64At(136),
    cr0: u64At(144),
    cr2: u64At(152),
    cr3: u64At(160),
    cr4: u64At(168),
    cr8: u64At(176),
    efer: u64At(184),
    pat: u64At(192),
    gdtrBase: u64At(200),
    idtrBase: u64At(208),
    gdtrLimit: u32At(216),
    idtrLimit: u32At(220),
    /** ES CS SS DS FS GS LDTR TR. */
    segments: structArrayAt(224, segmentLayout, 8),
    /** `Interruptibility`. */
    interruptibility: u32At(352),
    /** `ProcessorControl`: windows the next entry is to exit at. */
    windows: u32At(356),
    /** `InterruptionInfo` of the event the next entry injects, 0 for none; its error code. The driver clears it. */
    entryInfo: u32At(360),
    entryErrorCode: u32At(364),
    /** Length of the instruction that raised a software event. */
    entryInstructionLength: u32At(368),
    /** Non-zero: forget translations at the next entry. The driver clears it. */
    flushTlb: u32At(372),
    /** MSRs the guest reaches without an exit, in the order of `vtlMsrs`. */
    msrs: u64ArrayAt(376, 9),
  },
});
export type VtlState = View<(typeof vtlStateLayout)['fields']>;

/** MSRs each VTL has for itself: SYSENTER_CS, _ESP, _EIP, STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE, TSC_AUX. PAT has a field of its own. */
export const vtlMsrs = [0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103] as const;
export const MSR_PAT = 0x277;

const contextLayout = defineLayout({
  name: 'example_vp_context',
  size: 1024,
  fields: { exit: structAt(0, exitLayout), vtls: structArrayAt(64, vtlStateLayout, 2), reserved: bytesAt(960, 64) },
});
export type ExampleContext = View<(typeof contextLayout)['fields']>;
export type ExampleExit = ExampleContext['exit'];

/** The context area of a VP's run page. */
export const viewContext = (runPage: Uint8Array): ExampleContext => viewOf(contextLayout, runPage, RUN_PAGE_CONTEXT_OFFSET);

/** XMM0 to XMM15, which the VTLs of a VP share (TLFS 15.11.1), lie where the run page is unused. */
export const xmmLayout = defineLayout({ name: 'example_xmm', size: 256, fields: { words: u64ArrayAt(0, 32) } });
export const XMM_OFFSET = 2048;
export type Xmm = View<(typeof xmmLayout)['fields']>['words'];
export const viewXmm = (runPage: Uint8Array): Xmm => viewOf(xmmLayout, runPage, XMM_OFFSET).words;

/** First byte of a lower VTL's state in the run page. */
export const vtlStateOffset = (vtl: number): number => RUN_PAGE_CONTEXT_OFFSET + contextLayout.fields.vtls.offset + vtl * vtlStateLayout.size;

/** CHECK_EXTENSION of this backing's driver: answers 1. Far from the numbers the mshv_vtl driver uses. */
export const EXAMPLE_CONTEXT_CAPABILITY = 0x100;

/** INVD's basic exit reason: hcl-protocol names only those a TDX paravisor handles. */
export const VMX_EXIT_INVD = 13;
