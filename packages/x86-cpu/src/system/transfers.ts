import type { Linear } from '../code/block.js';
import { EventType } from '../contract.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { SYSTEM_FLAGS } from '../processor/core.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Attribute, Efer, highHalf, isCanonical, joinHalves, lowHalf } from '../processor/registers.js';
import { isConforming, loadCode, loadStack, privilegeOf, readCode } from '../processor/segmentation.js';
import type { Descriptor } from '../processor/segmentation.js';
import { operandAddress, requireRing0 } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** Transfers between privilege levels and code segments, and software interrupts. */
export const transfers: SystemInstructions = new Map();

const RCX = 1;
const RDX = 2;
const RSP = 4;
const R11 = 11;

function softwareEvent(core: Core, type: number, vector: number, length: number): Outcome {
  core.event.type = type;
  core.event.vector = vector;
  core.event.errorCode = -1;
  core.event.length = length;
  return Outcome.Event;
}
transfers.set(Op.Int, (core, instruction) => softwareEvent(core, EventType.SoftwareInterrupt, instruction.immLo & 0xff, instruction.length));
transfers.set(Op.Int3, (core, instruction) => softwareEvent(core, EventType.SoftwareException, Vector.bp, instruction.length));
transfers.set(Op.Int1, (core, instruction) => softwareEvent(core, EventType.PrivilegedSoftware, Vector.db, instruction.length));

/** Checks a code descriptor for a return or jump; compatibility mode does not exist here. */
function requireLongMode(core: Core, code: Descriptor, selector: number): void {
  if (!(code.attributes & Attribute.p)) core.raise(Vector.np, selector & ~3);
  if ((code.attributes & (Attribute.l | Attribute.db)) !== Attribute.l) core.raise(Vector.gp, selector & ~3);
}

/** What IRET and far RET have popped. */
interface ReturnFrame {
  rip: Linear;
  selector: number;
  /** RSP in halves: nothing says that it is canonical. */
  stackLo: number;
  stackHi: number;
  stackSelector: number;
}

/** Goes to a return frame (SDM volume 2, RET and IRET): CS, and SS with RSP when `withStack`; the checks come first. */
function returnTo(core: Core, frame: ReturnFrame, withStack: boolean): void {
  const { registers } = core;
  const cpl = registers.cpl;
  const rpl = frame.selector & 3;
  const code = readCode(core, frame.selector, 0);
  const error = frame.selector & ~3;
  if (rpl < cpl) core.raise(Vector.gp, error);
  const privilege = privilegeOf(code.attributes);
  if (isConforming(code.attributes) ? privilege > rpl : privilege !== rpl) core.raise(Vector.gp, error);
  requireLongMode(core, code, frame.selector);
  if (!isCanonical(frame.rip)) core.raise(Vector.gp, 0);
  if (withStack) loadStack(core, frame.stackSelector, rpl, Vector.gp);
  loadCode(core, frame.selector, code, rpl);
  registers.rip = frame.rip;
  registers.setGpr(RSP, frame.stackLo, frame.stackHi);
  if (rpl === cpl) return;
  // Data segments that the outer level may not use become null.
  for (const segment of [Segment.es, Segment.ds, Segment.fs, Segment.gs]) {
    const attributes = registers.attributes(segment);
    const conformingCode = (attributes & 0xc) === 0xc;
    if (attributes & Attribute.p && !conformingCode && privilegeOf(attributes) < rpl) registers.setSegment(segment, 0, 0, 0, 0, 0);
  }
  core.modeChanged(false);
}

const frame: ReturnFrame = { rip: 0, selector: 0, stackLo: 0, stackHi: 0, stackSelector: 0 };

/** Reads what lies `index` stack slots above RSP into `Core.lo` and `hi`. */
function readSlot(core: Core, index: number, size: number): void {
  core.readSized(core.registers.gpr(RSP) + index * size, size, core.mmu.mode);
}

/** The address in a stack slot. */
function addressSlot(core: Core, index: number, size: number): Linear {
  readSlot(core, index, size);
  return core.value;
}

/** The low half of a stack slot, which a number of 64 bits could lose. */
function lowSlot(core: Core, index: number, size: number): number {
  readSlot(core, index, size);
  return core.lo;
}

transfers.set(Op.Iret, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize;
  const old = core.readFlags();
  if (old & Flag.nt) core.raise(Vector.gp, 0);
  frame.rip = addressSlot(core, 0, size);
  frame.selector = lowSlot(core, 1, size) & 0xffff;
  const flags = lowSlot(core, 2, size);
  readSlot(core, 3, size);
  frame.stackLo = core.lo;
  frame.stackHi = core.hi;
  frame.stackSelector = lowSlot(core, 4, size) & 0xffff;
  const cpl = registers.cpl;
  returnTo(core, frame, true);
  let writable: number = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.tf | Flag.df | Flag.of | Flag.nt;
  if (size > 2) writable |= Flag.ac | Flag.id;
  if (cpl <= (old >> 12 & 3)) writable |= Flag.if;
  if (cpl === 0) writable |= Flag.iopl | Flag.vif | Flag.vip;
  core.writeFlags((old & ~writable) | (flags & writable));
  core.unblockNmi();
  return Outcome.Jumped;
});

transfers.set(Op.RetFar, (core, instruction) => {
  const size = instruction.operandSize;
  const released = instruction.operandCount > 0 ? instruction.immLo : 0;
  frame.rip = addressSlot(core, 0, size);
  frame.selector = lowSlot(core, 1, size) & 0xffff;
  const outer = (frame.selector & 3) > core.registers.cpl;
  const above = core.registers.gpr(RSP) + 2 * size + released;
  let stack = above;
  if (outer) {
    core.readSized(above, size, core.mmu.mode);
    stack = core.value + released;
    core.readSized(above + size, size, core.mmu.mode);
    frame.stackSelector = core.lo & 0xffff;
  }
  frame.stackLo = lowHalf(stack);
  frame.stackHi = highHalf(stack);
  returnTo(core, frame, outer);
  return Outcome.Jumped;
});

/** Reads and checks the far pointer of JMP and CALL, into `frame`: to code of the same privilege; call gates do not exist here. */
function readFarPointer(core: Core, instruction: Instruction): Descriptor {
  const at = operandAddress(core, instruction);
  const size = instruction.operandSize;
  core.readSized(at, size, core.mmu.mode);
  frame.rip = core.value;
  frame.selector = core.read16(at + size, core.mmu.mode);
  const code = readCode(core, frame.selector, 0);
  const cpl = core.registers.cpl;
  const privilege = privilegeOf(code.attributes);
  const reachable = isConforming(code.attributes) ? privilege <= cpl : privilege === cpl && (frame.selector & 3) <= cpl;
  if (!reachable) core.raise(Vector.gp, frame.selector & ~3);
  requireLongMode(core, code, frame.selector);
  if (!isCanonical(frame.rip)) core.raise(Vector.gp, 0);
  return code;
}

transfers.set(Op.JmpFar, (core, instruction) => {
  const code = readFarPointer(core, instruction);
  loadCode(core, frame.selector, code, core.registers.cpl);
  core.registers.rip = frame.rip;
  return Outcome.Jumped;
});

transfers.set(Op.CallFar, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize;
  const code = readFarPointer(core, instruction);
  const stack = registers.gpr(RSP);
  const back = registers.rip + instruction.length;
  core.writeSized(stack - size, size, registers.selector(Segment.cs), 0, core.mmu.mode);
  core.writeSized(stack - 2 * size, size, lowHalf(back), highHalf(back), core.mmu.mode);
  loadCode(core, frame.selector, code, registers.cpl);
  registers.setNumber(StateOffset.gpr + 8 * RSP, stack - 2 * size);
  registers.rip = frame.rip;
  return Outcome.Jumped;
});

/** Attributes of the flat segments that SYSCALL and its relatives load (SDM volume 2, SYSCALL). */
const FLAT_CODE = 0xb | Attribute.s | Attribute.p | Attribute.l | Attribute.g;
const FLAT_STACK = 0x3 | Attribute.s | Attribute.p | Attribute.db | Attribute.g;

/** Enters flat segments of a privilege level. */
function loadFlat(core: Core, codeSelector: number, stackSelector: number, cpl: number): void {
  core.registers.setSegment(Segment.cs, (codeSelector & ~3) | cpl, FLAT_CODE | (cpl << 5), 0xffffffff, 0, 0);
  core.registers.setSegment(Segment.ss, (stackSelector & ~3) | cpl, FLAT_STACK | (cpl << 5), 0xffffffff, 0, 0);
  core.modeChanged(false);
}

transfers.set(Op.Syscall, (core, instruction) => {
  const { registers } = core;
  if (!(registers.lo(StateOffset.efer) & Efer.sce)) core.raise(Vector.ud, -1);
  const selector = registers.hi(StateOffset.star) & 0xffff;
  const flags = core.readFlags();
  registers.setNumber(StateOffset.gpr + 8 * RCX, registers.rip + instruction.length);
  registers.setGpr(R11, flags, 0);
  core.writeFlags(flags & ~registers.lo(StateOffset.sfmask));
  registers.rip = registers.number(StateOffset.lstar);
  loadFlat(core, selector, selector + 8, 0);
  return Outcome.Jumped;
});

transfers.set(Op.Sysret, (core, instruction) => {
  const { registers } = core;
  if (!(registers.lo(StateOffset.efer) & Efer.sce)) core.raise(Vector.ud, -1);
  requireRing0(core);
  // SYSRET without REX.W returns to compatibility mode, which does not exist here.
  if (instruction.operandSize !== 8) core.raise(Vector.gp, 0);
  const target = registers.gpr(RCX);
  if (!isCanonical(target)) core.raise(Vector.gp, 0);
  const selector = registers.hi(StateOffset.star) >>> 16;
  const arithmetic = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of;
  core.writeFlags(registers.gprLo(R11) & (arithmetic | SYSTEM_FLAGS));
  registers.rip = target;
  loadFlat(core, selector + 16, selector + 8, 3);
  return Outcome.Jumped;
});

transfers.set(Op.Sysenter, (core) => {
  const { registers } = core;
  // AMD processors have SYSENTER in legacy mode only (APM volume 3).
  if (core.vendor === 'amd') core.raise(Vector.ud, -1);
  const selector = registers.lo(StateOffset.sysenterCs) & 0xffff;
  if ((selector & ~3) === 0) core.raise(Vector.gp, 0);
  core.writeSystemFlags(registers.systemFlags & ~(Flag.if | Flag.vm));
  registers.set(StateOffset.gpr + 8 * RSP, registers.lo(StateOffset.sysenterEsp), registers.hi(StateOffset.sysenterEsp));
  registers.rip = joinHalves(registers.lo(StateOffset.sysenterEip), registers.hi(StateOffset.sysenterEip));
  loadFlat(core, selector, selector + 8, 0);
  return Outcome.Jumped;
});

transfers.set(Op.Sysexit, (core, instruction) => {
  const { registers } = core;
  if (core.vendor === 'amd') core.raise(Vector.ud, -1);
  const selector = registers.lo(StateOffset.sysenterCs) & 0xffff;
  if ((selector & ~3) === 0 || registers.cpl !== 0 || instruction.operandSize !== 8) core.raise(Vector.gp, 0);
  const target = registers.gpr(RDX);
  if (!isCanonical(target) || !isCanonical(registers.gpr(RCX))) core.raise(Vector.gp, 0);
  registers.setGpr(RSP, registers.gprLo(RCX), registers.gprHi(RCX));
  registers.rip = target;
  loadFlat(core, selector + 32, selector + 40, 3);
  return Outcome.Jumped;
});
