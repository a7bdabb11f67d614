import type { Linear } from '../code/block.js';
import { LONG_MODE } from '../code/execution-mode.js';
import { Op } from '../decode/op.js';
import { Segment } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { isLongCode, requireTarget, requireUsable } from '../processor/code-target.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Attribute, joinHalves } from '../processor/registers.js';
import { dropInnerSegments, isConforming, loadCode, loadReal, loadStack, privilegeOf, readCode } from '../processor/segmentation.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** IRET and far RET. */
export const returns: SystemInstructions = new Map();

const RSP = 4;

/** What IRET and far RET have popped. */
const frame = {
  rip: 0 as Linear,
  selector: 0,
  /** rSP in halves: nothing says that it is canonical. */
  stackLo: 0,
  stackHi: 0,
  stackSelector: 0,
  /** Of IRET alone. */
  flags: 0,
};

const LONG_FRAME = 5 * 8;

/** What IRET pops in 64-bit mode, at once. False where it has to be popped piece by piece. */
function popLongFrame(core: Core): boolean {
  const word = core.stack.popInPlace(LONG_FRAME);
  if (word < 0) return false;
  const { words } = core;
  frame.rip = joinHalves(words[word]!, words[word + 1]!);
  frame.selector = words[word + 2]! & 0xffff;
  frame.flags = words[word + 4]!;
  frame.stackLo = words[word + 6]!;
  frame.stackHi = words[word + 7]!;
  frame.stackSelector = words[word + 8]! & 0xffff;
  return true;
}

/** Pops instruction pointer and CS. */
function popTarget(core: Core, size: number): void {
  core.stack.pop(size);
  frame.rip = core.value;
  frame.selector = core.stack.popLow(size) & 0xffff;
}

function popStack(core: Core, size: number): void {
  core.stack.pop(size);
  frame.stackLo = core.lo;
  frame.stackHi = core.hi;
  frame.stackSelector = core.stack.popLow(size) & 0xffff;
}

/** Adds to the popped stack pointer what an outer stack is to be released of. */
function releaseOuter(bytes: number): void {
  const sum = (frame.stackLo >>> 0) + bytes;
  frame.stackLo = sum | 0;
  if (sum > 0xffffffff) frame.stackHi = (frame.stackHi + 1) | 0;
}

/** Goes to a return frame of real mode. */
function returnReal(core: Core): Outcome {
  const { registers } = core;
  if (frame.rip > registers.limit(Segment.cs)) core.raise(Vector.gp, 0);
  core.stack.commit();
  loadReal(core, Segment.cs, frame.selector);
  registers.rip = frame.rip;
  return Outcome.Jumped;
}

/** Goes to a return frame of protected mode (SDM volume 2, RET and IRET): CS, and SS with rSP when `withStack`; the checks come first. */
function returnProtected(core: Core, withStack: boolean): Outcome {
  const { registers } = core;
  const cpl = registers.cpl;
  const rpl = frame.selector & 3;
  const code = readCode(core, frame.selector, 0);
  const error = frame.selector & ~3;
  if (rpl < cpl) core.raise(Vector.gp, error);
  const privilege = privilegeOf(code.attributes);
  if (isConforming(code.attributes) ? privilege > rpl : privilege !== rpl) core.raise(Vector.gp, error);
  requireUsable(core, code, error);
  requireTarget(core, code, frame.rip);
  const long = isLongCode(core, code);
  if (withStack) {
    loadStack(core, frame.stackSelector, rpl, long);
    if (long) registers.setGpr(RSP, frame.stackLo, frame.stackHi);
    else if (registers.attributes(Segment.ss) & Attribute.db) registers.setGpr(RSP, frame.stackLo, 0);
    else registers.setGpr(RSP, (registers.gprLo(RSP) & ~0xffff) | (frame.stackLo & 0xffff), registers.gprHi(RSP));
  } else core.stack.commit();
  loadCode(core, frame.selector, code, rpl);
  registers.rip = frame.rip;
  if (rpl === cpl) return Outcome.Jumped;
  dropInnerSegments(core, rpl);
  core.modeChanged(false);
  return Outcome.Jumped;
}

returns.set(Op.Iret, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize;
  const old = core.readFlags();
  const cpl = registers.cpl;
  const real = registers.isReal;
  // NT asks for a task switch, which IA-32e mode does not have and which is not modelled elsewhere.
  if (!real && old & Flag.nt) core.raise(Vector.gp, 0);
  core.stack.open();
  const whole = size === 8 && core.mode === LONG_MODE && popLongFrame(core);
  if (!whole) {
    popTarget(core, size);
    frame.flags = core.stack.popLow(size);
  }
  const { flags } = frame;
  let writable: number = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.tf | Flag.df | Flag.of | Flag.nt;
  if (size > 2) writable |= Flag.ac | Flag.id | Flag.rf;
  if (registers.hasIoPrivilege) writable |= Flag.if;
  if (cpl === 0) writable |= Flag.iopl;
  if (real) returnReal(core);
  else {
    // Virtual-8086 mode is not modelled.
    if (!registers.isLongMode && size === 4 && flags & Flag.vm && cpl === 0) core.raise(Vector.gp, 0);
    if (cpl === 0 && size > 2) writable |= Flag.vif | Flag.vip;
    const withStack = core.mode === LONG_MODE || (frame.selector & 3) > cpl;
    if (withStack && !whole) popStack(core, size);
    returnProtected(core, withStack);
  }
  core.writeFlags((old & ~writable & ~Flag.rf) | (flags & writable));
  core.keepsResume = true;
  core.unblockNmi();
  return Outcome.Jumped;
});

returns.set(Op.RetFar, (core, instruction) => {
  const size = instruction.operandSize;
  const released = instruction.operandCount > 0 ? instruction.immLo : 0;
  core.stack.open();
  popTarget(core, size);
  core.stack.release(released);
  if (core.registers.isReal) return returnReal(core);
  const outer = (frame.selector & 3) > core.registers.cpl;
  if (outer) {
    popStack(core, size);
    releaseOuter(released);
  }
  return returnProtected(core, outer);
});
