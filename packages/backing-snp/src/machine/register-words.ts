/** Where each register lies in a VMSA and in the state of the processor that runs it, in words of 32 bits (APM volume 2, table B-4). */
import { VmsaSelector, vmsaLayout, vmsaSelectorLayout } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';

const { fields } = vmsaLayout;
const WORD = 4;
const GPR_BYTES = 8;
const SELECTORS = fields.selectors.offset;
const SELECTOR_BYTES = vmsaSelectorLayout.size;
/** Words of a segment's limit and base in its record, the same in both. */
export const LIMIT_WORD = vmsaSelectorLayout.fields.limit.offset / WORD;
export const BASE_WORD = vmsaSelectorLayout.fields.base.offset / WORD;

const selectorWord = (selector: number): number => (SELECTORS + selector * SELECTOR_BYTES) / WORD;
const segmentWord = (segment: number): number => (stateLayout.segments + segment * stateLayout.segmentSize) / WORD;

/** Word of each register and segment record in the VMSA. RBP RSI RDI R8 to R15 follow each other. */
export const save = {
  rax: fields.rax.offset / WORD,
  rcx: fields.rcx.offset / WORD,
  rdx: fields.rdx.offset / WORD,
  rbx: fields.rbx.offset / WORD,
  rsp: fields.rsp.offset / WORD,
  rbp: fields.rbp.offset / WORD,
  rip: fields.rip.offset / WORD,
  rflags: fields.rflags.offset / WORD,
  cr0: fields.cr0.offset / WORD,
  cr2: fields.cr2.offset / WORD,
  cr3: fields.cr3.offset / WORD,
  cr4: fields.cr4.offset / WORD,
  efer: fields.efer.offset / WORD,
  dr0: fields.dr0to3.offset / WORD,
  dr6: fields.dr6.offset / WORD,
  dr7: fields.dr7.offset / WORD,
  star: fields.star.offset / WORD,
  lstar: fields.lstar.offset / WORD,
  cstar: fields.cstar.offset / WORD,
  sfmask: fields.sfmask.offset / WORD,
  kernelGsBase: fields.kernelGsBase.offset / WORD,
  sysenterCs: fields.sysenterCs.offset / WORD,
  sysenterEsp: fields.sysenterEsp.offset / WORD,
  sysenterEip: fields.sysenterEip.offset / WORD,
  pat: fields.pat.offset / WORD,
  xcr0: fields.xcr0.offset / WORD,
  tscAux: fields.tscAux.offset / WORD,
  es: selectorWord(VmsaSelector.Es),
  cs: selectorWord(VmsaSelector.Cs),
  ss: selectorWord(VmsaSelector.Ss),
  ds: selectorWord(VmsaSelector.Ds),
  fs: selectorWord(VmsaSelector.Fs),
  gs: selectorWord(VmsaSelector.Gs),
  ldtr: selectorWord(VmsaSelector.Ldtr),
  tr: selectorWord(VmsaSelector.Tr),
  gdtrLimit: selectorWord(VmsaSelector.Gdtr) + LIMIT_WORD,
  gdtrBase: selectorWord(VmsaSelector.Gdtr) + BASE_WORD,
  idtrLimit: selectorWord(VmsaSelector.Idtr) + LIMIT_WORD,
  idtrBase: selectorWord(VmsaSelector.Idtr) + BASE_WORD,
} as const;

const gpr = (number: number): number => (stateLayout.gpr + number * GPR_BYTES) / WORD;

/** Word of each register and segment record in the processor's state. */
export const cpu = {
  rax: gpr(0),
  rcx: gpr(1),
  rdx: gpr(2),
  rbx: gpr(3),
  rsp: gpr(4),
  rbp: gpr(5),
  rip: stateLayout.rip / WORD,
  cr0: stateLayout.cr0 / WORD,
  cr2: stateLayout.cr2 / WORD,
  cr3: stateLayout.cr3 / WORD,
  cr4: stateLayout.cr4 / WORD,
  cr8: stateLayout.cr8 / WORD,
  efer: stateLayout.efer / WORD,
  dr0: stateLayout.dr0 / WORD,
  dr6: stateLayout.dr6 / WORD,
  dr7: stateLayout.dr7 / WORD,
  star: stateLayout.star / WORD,
  lstar: stateLayout.lstar / WORD,
  cstar: stateLayout.cstar / WORD,
  sfmask: stateLayout.sfmask / WORD,
  kernelGsBase: stateLayout.kernelGsBase / WORD,
  sysenterCs: stateLayout.sysenterCs / WORD,
  sysenterEsp: stateLayout.sysenterEsp / WORD,
  sysenterEip: stateLayout.sysenterEip / WORD,
  pat: stateLayout.pat / WORD,
  xcr0: stateLayout.xcr0 / WORD,
  tscAux: stateLayout.tscAux / WORD,
  es: segmentWord(0),
  cs: segmentWord(1),
  ss: segmentWord(2),
  ds: segmentWord(3),
  fs: segmentWord(4),
  gs: segmentWord(5),
  ldtr: segmentWord(6),
  tr: segmentWord(7),
  gdtrLimit: stateLayout.gdtrLimit / WORD,
  gdtrBase: stateLayout.gdtrBase / WORD,
  idtrLimit: stateLayout.idtrLimit / WORD,
  idtrBase: stateLayout.idtrBase / WORD,
  interruptibility: stateLayout.interruptibility / WORD,
} as const;
