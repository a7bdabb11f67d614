/** Where each register lies in a VMSA and in the state of the processor that runs it (APM volume 2, table B-4). */
import { VmsaSelector, vmsaLayout, vmsaSelectorLayout } from '@paravisor/hcl-protocol';
import { stateLayout } from '@paravisor/x86-cpu';
import type { ImageBits, ImageField } from '@paravisor/x86-cpu';
import { segmentSelectors } from '../abi/index.js';

const { fields } = vmsaLayout;
const { limit, base } = vmsaSelectorLayout.fields;
const LIMIT_BYTES = 4;
const REGISTER_BYTES = 8;
const GPRS = 16;
const XMM_BYTES = 16 * 16;
const X87_REGISTERS = 8;
/** x87 registers are packed by number in a VMSA (an assumption: not from the top); the processor has a record for each. */
const X87_BYTES = 10;
const X87_RECORD = 16;

/** A segment's selector and access rights, whose upper four bits lie elsewhere in a VMSA (APM volume 2, 15.5.1). */
const SEGMENT_BITS: readonly ImageBits[] = [
  { mask: 0x00ffffff, shift: 0 },
  { mask: 0x0f000000, shift: 4 },
];

const selectorOffset = (selector: number): number => fields.selectors.offset + selector * vmsaSelectorLayout.size;

function register(image: { readonly offset: number }, state: number, bytes = REGISTER_BYTES): ImageField {
  return { image: image.offset, state, bytes };
}

const watched = (image: { readonly offset: number }, state: number): ImageField => ({ ...register(image, state), watched: true });

/** RAX RCX RDX RBX RSP RBP stand alone; RBP RSI RDI R8 to R15 follow each other. */
function gprs(): readonly ImageField[] {
  const { rax, rcx, rdx, rbx, rsp, rbp } = fields;
  const low = [rax, rcx, rdx, rbx, rsp].map((field, number) => register(field, stateLayout.gpr + number * REGISTER_BYTES));
  return [...low, register(rbp, stateLayout.gpr + low.length * REGISTER_BYTES, (GPRS - low.length) * REGISTER_BYTES)];
}

function segments(): readonly ImageField[] {
  return segmentSelectors.map((selector, segment) => {
    const state = stateLayout.segments + segment * stateLayout.segmentSize;
    // Limit and base lie alike in both.
    return { image: selectorOffset(selector), state, bytes: vmsaSelectorLayout.size, watched: true, bits: SEGMENT_BITS };
  });
}

function table(selector: number, stateLimit: number, stateBase: number): readonly ImageField[] {
  const image = selectorOffset(selector);
  return [
    { image: image + limit.offset, state: stateLimit, bytes: LIMIT_BYTES },
    { image: image + base.offset, state: stateBase, bytes: REGISTER_BYTES },
  ];
}

function floatingPoint(): readonly ImageField[] {
  const { xmm, x87Registers, mxcsr, x87Ftw, x87Fsw, x87Fcw } = fields;
  const registers = Array.from({ length: X87_REGISTERS }, (_, number) => ({
    image: x87Registers.offset + number * X87_BYTES,
    state: stateLayout.x87 + number * X87_RECORD,
    bytes: X87_BYTES,
  }));
  return [
    register(xmm, stateLayout.xmm, XMM_BYTES),
    ...registers,
    register(mxcsr, stateLayout.mxcsr, 4),
    register(x87Fcw, stateLayout.x87Control, 2),
    register(x87Fsw, stateLayout.x87Status, 2),
    register(x87Ftw, stateLayout.x87Tag, 2),
  ];
}

/** All but RFLAGS and what the virtual-interrupt fields hold. What is watched decides the processor's mode. */
export const vmsaRegisters: readonly ImageField[] = [
  ...gprs(),
  register(fields.rip, stateLayout.rip),
  watched(fields.cr0, stateLayout.cr0),
  register(fields.cr2, stateLayout.cr2),
  watched(fields.cr3, stateLayout.cr3),
  watched(fields.cr4, stateLayout.cr4),
  watched(fields.efer, stateLayout.efer),
  register(fields.dr0to3, stateLayout.dr0, 4 * REGISTER_BYTES),
  register(fields.dr6, stateLayout.dr6),
  register(fields.dr7, stateLayout.dr7),
  register(fields.star, stateLayout.star),
  register(fields.lstar, stateLayout.lstar),
  register(fields.cstar, stateLayout.cstar),
  register(fields.sfmask, stateLayout.sfmask),
  register(fields.kernelGsBase, stateLayout.kernelGsBase),
  register(fields.sysenterCs, stateLayout.sysenterCs),
  register(fields.sysenterEsp, stateLayout.sysenterEsp),
  register(fields.sysenterEip, stateLayout.sysenterEip),
  register(fields.pat, stateLayout.pat),
  register(fields.xcr0, stateLayout.xcr0),
  register(fields.tscAux, stateLayout.tscAux, 4),
  ...segments(),
  ...table(VmsaSelector.Gdtr, stateLayout.gdtrLimit, stateLayout.gdtrBase),
  ...table(VmsaSelector.Idtr, stateLayout.idtrLimit, stateLayout.idtrBase),
  ...floatingPoint(),
];
