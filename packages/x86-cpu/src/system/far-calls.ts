import { LONG_MODE } from '../code/execution-mode.js';
import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment } from '../memory/layout.js';
import { innerLongStack, innerStack, requireTarget, requireUsable } from '../processor/code-target.js';
import { IMPLICIT } from '../processor/core.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Attribute, joinHalves } from '../processor/registers.js';
import {
  isConforming, loadCheckedStack, loadCode, loadNullStack, loadReal, privilegeOf, readCode, readDescriptor, readStack,
} from '../processor/segmentation.js';
import type { Descriptor } from '../processor/segmentation.js';
import { operandAddress } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** Far JMP and CALL, to code and through call gates. */
export const farCalls: SystemInstructions = new Map();

const RSP = 4;

const far = { rip: 0, selector: 0 };

/** Reads the far pointer, in the instruction or in memory. */
function readPointer(core: Core, instruction: Instruction): void {
  const size = instruction.operandSize;
  if (instruction.operands[0].kind === OperandKind.Imm) {
    far.rip = instruction.immLo >>> 0;
    far.selector = instruction.imm2;
    return;
  }
  const at = operandAddress(core, instruction);
  core.readSized(at, size, core.mmu.mode);
  far.rip = core.value;
  far.selector = core.read16(at + size, core.mmu.mode);
}

/** Pushes CS and the address of the next instruction. */
function pushReturn(core: Core, instruction: Instruction, size: number): void {
  core.stack.push(size, core.registers.selector(Segment.cs));
  core.stack.pushNumber(size, core.registers.rip + instruction.length);
}

function transferReal(core: Core, instruction: Instruction, isCall: boolean): Outcome {
  const { registers } = core;
  if (far.rip > registers.limit(Segment.cs)) core.raise(Vector.gp, 0);
  if (isCall) {
    core.stack.open();
    pushReturn(core, instruction, instruction.operandSize);
    core.stack.commit();
  }
  loadReal(core, Segment.cs, far.selector);
  registers.rip = far.rip;
  return Outcome.Jumped;
}

/** To a code segment at the same privilege (SDM volume 3, 5.8.1). */
function transferToCode(core: Core, instruction: Instruction, isCall: boolean): Outcome {
  const { registers } = core;
  const code = readCode(core, far.selector, 0);
  const error = far.selector & ~3;
  const cpl = registers.cpl;
  const privilege = privilegeOf(code.attributes);
  const reachable = isConforming(code.attributes) ? privilege <= cpl : privilege === cpl && (far.selector & 3) <= cpl;
  if (!reachable) core.raise(Vector.gp, error);
  requireUsable(core, code, error);
  if (isCall) {
    core.stack.open();
    pushReturn(core, instruction, instruction.operandSize);
  }
  requireTarget(core, code, far.rip);
  if (isCall) core.stack.commit();
  loadCode(core, far.selector, code, cpl);
  registers.rip = far.rip;
  return Outcome.Jumped;
}

const CALL_GATE_16 = 4;
const CALL_GATE = 12;

const parameters: number[] = [];

/** Through a call gate, whose descriptor's halves are given (SDM volume 3, 5.8.3 to 5.8.5 and 6.14). */
function transferThroughGate(core: Core, instruction: Instruction, isCall: boolean, lo: number, hi: number): Outcome {
  const { registers, stack } = core;
  const long = registers.isLongMode;
  const gateError = far.selector & ~3;
  const type = (hi >> 8) & 0x1f;
  // Task gates and TSSs would be a task switch, which is not modelled.
  if (type !== CALL_GATE && (long || type !== CALL_GATE_16)) core.raise(Vector.gp, gateError);
  const cpl = registers.cpl;
  const gatePrivilege = (hi >> 13) & 3;
  if (gatePrivilege < cpl || gatePrivilege < (far.selector & 3)) core.raise(Vector.gp, gateError);
  if (!(hi & 0x8000)) core.raise(Vector.np, gateError);
  let offsetHigh = 0;
  if (long) {
    const table = far.selector & 4 ? Segment.ldtr : -1;
    const limit = table < 0 ? registers.gdtrLimit : registers.limit(table);
    if ((far.selector & ~7) + 15 > limit) core.raise(Vector.gp, gateError);
    core.read64((table < 0 ? registers.gdtrBase : registers.base(table)) + (far.selector & ~7) + 8, IMPLICIT);
    if (core.hi & 0x1f00) core.raise(Vector.gp, gateError);
    offsetHigh = core.lo;
  }
  const target = joinHalves((lo & 0xffff) | (type === CALL_GATE ? hi & 0xffff0000 : 0), offsetHigh);
  const size = long ? 8 : type === CALL_GATE ? 4 : 2;
  const selector = lo >>> 16;
  const error = selector & ~3;

  const code = readCode(core, selector, 0);
  const privilege = privilegeOf(code.attributes);
  const conforming = isConforming(code.attributes);
  if (privilege > cpl || (!isCall && !conforming && privilege !== cpl)) core.raise(Vector.gp, error);
  if (long && (code.attributes & (Attribute.l | Attribute.db)) !== Attribute.l) core.raise(Vector.gp, error);
  if (!(code.attributes & Attribute.p)) core.raise(Vector.np, error);
  const newPrivilege = isCall && !conforming ? privilege : cpl;

  if (isCall && newPrivilege < cpl) {
    let segment: Descriptor | undefined;
    let stackSelector = 0;
    parameters.length = 0;
    if (long) stack.openLong(innerLongStack(core, newPrivilege, 0, 0), newPrivilege, 0);
    else {
      stack.open();
      for (let i = 0; i < (hi & 0x1f); i++) parameters.push(stack.popLow(size));
      const inner = innerStack(core, newPrivilege, 0);
      stackSelector = inner.selector;
      const top = inner.offset;
      segment = readStack(core, stackSelector, newPrivilege, Vector.ts, 0);
      stack.openIn(segment, top, newPrivilege, stackSelector & ~3);
    }
    stack.push(size, registers.selector(Segment.ss));
    stack.push(size, registers.gprLo(RSP), registers.gprHi(RSP));
    for (let i = parameters.length - 1; i >= 0; i--) stack.push(size, parameters[i]!);
    pushReturn(core, instruction, size);
    requireTarget(core, code, target);
    loadCode(core, selector, code, newPrivilege);
    if (segment === undefined) loadNullStack(core, newPrivilege);
    else loadCheckedStack(core, stackSelector, segment);
    stack.commit();
  } else {
    if (isCall) {
      // In IA-32e mode a call from compatibility mode pushes on the stack that 64-bit code will have.
      if (long && core.mode !== LONG_MODE) stack.openLong(registers.gprLo(RSP) >>> 0, cpl, 0);
      else stack.open();
      pushReturn(core, instruction, size);
    }
    requireTarget(core, code, target);
    if (isCall) stack.commit();
    loadCode(core, selector, code, newPrivilege);
  }
  registers.rip = target;
  if (newPrivilege !== cpl) core.modeChanged(false);
  return Outcome.Jumped;
}

for (const op of [Op.JmpFar, Op.CallFar] as const) {
  farCalls.set(op, (core, instruction) => {
    const isCall = op === Op.CallFar;
    readPointer(core, instruction);
    if (core.registers.isReal) return transferReal(core, instruction, isCall);
    if ((far.selector & ~3) === 0) core.raise(Vector.gp, 0);
    const isSegment = (readDescriptor(core, far.selector, Vector.gp, 0).attributes & Attribute.s) !== 0;
    if (isSegment) return transferToCode(core, instruction, isCall);
    return transferThroughGate(core, instruction, isCall, core.lo, core.hi);
  });
}
