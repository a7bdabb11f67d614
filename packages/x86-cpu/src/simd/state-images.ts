/** FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR: x87 and SSE state in memory (SDM volume 1, 10.5 and chapter 13). */
import type { Linear } from '../code/block.js';
import { LONG_MODE } from '../code/execution-mode.js';
import type { Instruction } from '../decode/instruction.js';
import { simdOp } from '../decode/simd-op.js';
import { StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Cr0, Cr4 } from '../processor/registers.js';
import { operandAddress } from '../system/operands.js';
import { Outcome } from '../system/outcome.js';
import type { SystemInstructions } from '../system/outcome.js';
import { readImage, writeImage } from '../x87/environment.js';
import { CONTROL_RESET, Status } from '../x87/unit.js';
import { Mxcsr } from './vector-unit.js';

export const stateImages: SystemInstructions = new Map();

/** The legacy region's fields. */
const Image = { control: 0, status: 2, tag: 4, opcode: 6, instruction: 8, data: 16, mxcsr: 24, mxcsrMask: 28, st: 32, xmm: 160, bytes: 416 } as const;
const Header = { xstateBv: 512, xcompBv: 520, end: 576 } as const;

/** State components of XCR0. */
const XState = { X87: 1, Sse: 2 } as const;

const RAX = 0;
const ST_BYTES = 10;

/** Fills the x87's part of an image: registers in the order of the stack. */
function putX87(core: Core, image: Uint8Array): void {
  const view = new DataView(image.buffer);
  const { x87: unit, registers } = core;
  view.setUint16(Image.control, unit.control, true);
  view.setUint16(Image.status, unit.status, true);
  image[Image.tag] = unit.tags;
  // The last instruction is told about while its exception is pending (APM volume 2, 11.5.7).
  if (unit.status & Status.summary) {
    view.setUint16(Image.opcode, registers.u16[StateOffset.x87Opcode >> 1]!, true);
    view.setInt32(Image.instruction, registers.lo(StateOffset.x87Instruction), true);
    view.setInt32(Image.instruction + 4, registers.hi(StateOffset.x87Instruction), true);
    view.setInt32(Image.data, registers.lo(StateOffset.x87Data), true);
    view.setInt32(Image.data + 4, registers.hi(StateOffset.x87Data), true);
  }
  for (let i = 0; i < 8; i++) {
    const bits = unit.bits(i);
    view.setBigUint64(Image.st + 16 * i, BigInt.asUintN(64, bits), true);
    view.setUint16(Image.st + 16 * i + 8, Number(bits >> 64n), true);
  }
}

function takeX87(core: Core, image: Uint8Array): void {
  const view = new DataView(image.buffer);
  const { x87: unit, registers } = core;
  unit.control = view.getUint16(Image.control, true);
  unit.status = view.getUint16(Image.status, true) & ~(Status.summary | Status.busy);
  for (let i = 0; i < 8; i++) {
    const at = Image.st + 16 * i;
    unit.setBits(i, view.getBigUint64(at, true) | (BigInt(view.getUint16(at + ST_BYTES - 2, true)) << 64n));
  }
  unit.tags = image[Image.tag]!;
  registers.u16[StateOffset.x87Opcode >> 1] = view.getUint16(Image.opcode, true);
  registers.set(StateOffset.x87Instruction, view.getInt32(Image.instruction, true), view.getInt32(Image.instruction + 4, true));
  registers.set(StateOffset.x87Data, view.getInt32(Image.data, true), view.getInt32(Image.data + 4, true));
}

/** 16 XMM registers in 64-bit mode, 8 outside it. */
const xmmCount = (core: Core): number => (core.mode === LONG_MODE ? 16 : 8);

function putXmm(core: Core, image: Uint8Array): void {
  for (let i = 0; i < xmmCount(core); i++) image.set(core.vector.xmm[i]!.u8, Image.xmm + 16 * i);
}

function takeXmm(core: Core, image: Uint8Array): void {
  for (let i = 0; i < xmmCount(core); i++) core.vector.xmm[i]!.u8.set(image.subarray(Image.xmm + 16 * i, Image.xmm + 16 * i + 16));
}

function putMxcsr(core: Core, image: Uint8Array): void {
  const view = new DataView(image.buffer);
  view.setUint32(Image.mxcsr, core.vector.mxcsr, true);
  view.setUint32(Image.mxcsrMask, Mxcsr.writable, true);
}

function mxcsrOf(core: Core, image: Uint8Array): number {
  const value = new DataView(image.buffer).getUint32(Image.mxcsr, true);
  if (value & ~Mxcsr.writable) core.raise(Vector.gp, 0);
  return value;
}

/** The operand's address, after the checks of its instruction. */
function place(core: Core, instruction: Instruction, alignment: number): Linear {
  const { registers } = core;
  const cr0 = registers.lo(StateOffset.cr0);
  if (alignment === 16 ? cr0 & Cr0.em : !(registers.lo(StateOffset.cr4) & Cr4.osxsave)) core.raise(Vector.ud, -1);
  if (cr0 & Cr0.ts) core.raise(Vector.nm, -1);
  const address = operandAddress(core, instruction);
  if ((address & (alignment - 1)) !== 0) core.raise(Vector.gp, 0);
  return address;
}

stateImages.set(simdOp('fxsave'), (core, instruction) => {
  const address = place(core, instruction, 16);
  const image = new Uint8Array(Image.bytes);
  putX87(core, image);
  putMxcsr(core, image);
  putXmm(core, image);
  // 32-bit code leaves the place of XMM8 and beyond alone.
  writeImage(core, address, image.subarray(0, Image.xmm + 16 * xmmCount(core)));
  return Outcome.Done;
});

stateImages.set(simdOp('fxrstor'), (core, instruction) => {
  const address = place(core, instruction, 16);
  const image = new Uint8Array(Image.bytes);
  readImage(core, address, image);
  const mxcsr = mxcsrOf(core, image);
  takeX87(core, image);
  core.vector.mxcsr = mxcsr;
  takeXmm(core, image);
  return Outcome.Done;
});

/** EDX:EAX and XCR0. */
function requested(core: Core): number {
  return core.registers.gprLo(RAX) & core.registers.lo(StateOffset.xcr0) & (XState.X87 | XState.Sse);
}

/** Whether SSE state differs from its initial one; the x87 counts as used always. */
function inUse(core: Core): number {
  const { vector } = core;
  const sse = vector.xmm.slice(0, xmmCount(core)).some(({ i32 }) => (i32[0]! | i32[1]! | i32[2]! | i32[3]!) !== 0);
  return XState.X87 | (sse ? XState.Sse : 0);
}

for (const mnemonic of ['xsave', 'xsaveopt'] as const) {
  stateImages.set(simdOp(mnemonic), (core, instruction) => {
    const address = place(core, instruction, 64);
    const components = requested(core);
    // Read, changed and written back, so that what is not saved stays; the header's other bytes belong to it.
    const image = new Uint8Array(Header.end);
    readImage(core, address, image);
    const used = inUse(core) & components;
    if (used & XState.X87) putX87(core, image);
    if (components & XState.Sse) putMxcsr(core, image);
    if (used & XState.Sse) putXmm(core, image);
    const view = new DataView(image.buffer);
    view.setUint32(Header.xstateBv, (view.getUint32(Header.xstateBv, true) & ~components) | used, true);
    writeImage(core, address, image.subarray(0, Header.xcompBv));
    return Outcome.Done;
  });
}

stateImages.set(simdOp('xrstor'), (core, instruction) => {
  const address = place(core, instruction, 64);
  const components = requested(core);
  const image = new Uint8Array(Header.end);
  readImage(core, address, image);
  const view = new DataView(image.buffer);
  const saved = view.getUint32(Header.xstateBv, true);
  const reserved = image.subarray(Header.xcompBv, Header.end);
  const enabled = core.registers.lo(StateOffset.xcr0);
  if (view.getUint32(Header.xstateBv + 4, true) !== 0 || saved & ~enabled || reserved.some((byte) => byte !== 0)) core.raise(Vector.gp, 0);
  const mxcsr = components & XState.Sse ? mxcsrOf(core, image) : core.vector.mxcsr;
  if (components & XState.X87) {
    if (saved & XState.X87) takeX87(core, image);
    else clearX87(core);
  }
  if (components & XState.Sse) {
    core.vector.mxcsr = mxcsr;
    if (saved & XState.Sse) takeXmm(core, image);
    else for (let i = 0; i < xmmCount(core); i++) core.vector.xmm[i]!.i32.fill(0);
  }
  return Outcome.Done;
});

function clearX87({ x87 }: Core): void {
  x87.reset();
  x87.control = CONTROL_RESET;
  for (let i = 0; i < 8; i++) x87.setBits(i, 0n);
  x87.tags = 0;
}
