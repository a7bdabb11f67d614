import type { Linear } from '../code/block.js';
import { EventType } from '../contract.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { innerLongStack, innerStack, requireTarget } from './code-target.js';
import { IMPLICIT } from './core.js';
import type { Core, PendingEvent } from './core.js';
import { Vector } from './fault.js';
import { Attribute, highHalf, isCanonical, joinHalves, lowHalf, Shadow } from './registers.js';
import { isConforming, loadCheckedStack, loadCode, loadNullStack, loadReal, privilegeOf, readCode, readStack } from './segmentation.js';
import type { Descriptor } from './segmentation.js';

const TASK_GATE = 5;
const INTERRUPT_GATE_16 = 6;
const TRAP_GATE_16 = 7;
const INTERRUPT_GATE = 14;
const TRAP_GATE = 15;

/** Traps, whose saved RFLAGS do not have RF set; all other exceptions are faults, but for the #DB that says it is a trap (SDM volume 3, 18.3.1.1). */
const TRAPS: ReadonlySet<number> = new Set([Vector.bp, Vector.of]);

/** RFLAGS as the handler's IRET will find them. */
function savedFlags(event: PendingEvent, flags: number): number {
  if (event.type === EventType.External || event.type === EventType.Nmi) return flags;
  const isFault = event.type === EventType.Exception && !event.isTrap && !TRAPS.has(event.vector);
  return isFault ? flags | Flag.rf : flags & ~Flag.rf;
}

const RSP = 4;

export function isSoftware(type: number): boolean {
  return type === EventType.SoftwareInterrupt || type === EventType.PrivilegedSoftware || type === EventType.SoftwareException;
}

/** An interrupt or trap gate, read from the IDT. */
const gate = { selector: 0, target: 0 as Linear, stackIndex: 0, isInterrupt: false, /** Bytes of each push. */ size: 8 };

/** Reads the gate of an event: 16 bytes in IA-32e mode, 8 otherwise (SDM volume 3, 6.11 and 6.14.1). */
function readGate(core: Core, event: PendingEvent, external: number): void {
  const { registers } = core;
  const long = registers.isLongMode;
  const bytes = long ? 16 : 8;
  const error = event.vector * 8 + 2 + external;
  if (event.vector * bytes + bytes - 1 > registers.lo(StateOffset.idtrLimit) >>> 0) core.raise(Vector.gp, error);
  const at = registers.number(StateOffset.idtrBase) + event.vector * bytes;
  core.read64(at, IMPLICIT);
  const { lo, hi } = core;
  const offsetHigh = long ? core.read32(at + 8, IMPLICIT) : 0;
  const type = (hi >> 8) & 0x1f;
  const wide = type === INTERRUPT_GATE || type === TRAP_GATE;
  const narrow = !long && (type === INTERRUPT_GATE_16 || type === TRAP_GATE_16);
  // Task gates would be a task switch, which is not modelled.
  if (!wide && !narrow && (long || type !== TASK_GATE)) core.raise(Vector.gp, error);
  if (external === 0 && event.type !== EventType.PrivilegedSoftware && registers.cpl > ((hi >> 13) & 3)) core.raise(Vector.gp, error);
  if (!(hi & 0x8000)) core.raise(Vector.np, error);
  if (type === TASK_GATE) core.raise(Vector.gp, error);
  gate.selector = lo >>> 16;
  gate.target = joinHalves((lo & 0xffff) | (narrow ? 0 : hi & 0xffff0000), offsetHigh);
  gate.stackIndex = long ? hi & 7 : 0;
  gate.isInterrupt = type === INTERRUPT_GATE || type === INTERRUPT_GATE_16;
  gate.size = long ? 8 : wide ? 4 : 2;
}

/** Pushes what the handler's IRET pops, and the error code. */
function pushFrame(core: Core, event: PendingEvent, size: number, flags: number): void {
  const { registers, stack } = core;
  stack.push(size, savedFlags(event, flags));
  stack.push(size, registers.selector(Segment.cs));
  stack.pushNumber(size, registers.rip + event.length);
}

const LONG_FRAME = 5 * 8;

/** The frame of 64-bit mode with its error code, at once. False where it has to be pushed piece by piece. */
function pushLongFrame(core: Core, event: PendingEvent, flags: number): boolean {
  const { registers, words } = core;
  const hasErrorCode = event.errorCode >= 0;
  let word = core.stack.pushInPlace(hasErrorCode ? LONG_FRAME + 8 : LONG_FRAME);
  if (word < 0) return false;
  if (hasErrorCode) {
    words[word] = event.errorCode;
    words[word + 1] = 0;
    word += 2;
  }
  const rip = registers.rip + event.length;
  words[word] = lowHalf(rip);
  words[word + 1] = highHalf(rip);
  words[word + 2] = registers.selector(Segment.cs);
  words[word + 3] = 0;
  words[word + 4] = savedFlags(event, flags);
  words[word + 5] = 0;
  words[word + 6] = registers.gprLo(RSP);
  words[word + 7] = registers.gprHi(RSP);
  words[word + 8] = registers.selector(Segment.ss);
  words[word + 9] = 0;
  return true;
}

/** Ends a delivery: nothing faults any more. */
function enterHandler(core: Core, event: PendingEvent, rip: Linear, flags: number, isInterrupt: boolean): void {
  const { registers } = core;
  core.stack.commit();
  registers.rip = rip;
  const cleared = Flag.tf | Flag.nt | Flag.rf | Flag.vm | (isInterrupt ? Flag.if : 0);
  core.writeSystemFlags(flags & ~cleared);
  registers.interruptibility &= ~(Shadow.sti | Shadow.movSs);
  if (event.type === EventType.Nmi) core.block(Shadow.nmi);
}

/** Through the interrupt vector table: 4 bytes a vector (SDM volume 3, 21.1.4). No error code. */
function deliverReal(core: Core, event: PendingEvent): void {
  const { registers } = core;
  if (event.vector * 4 + 3 > registers.lo(StateOffset.idtrLimit) >>> 0) core.raise(Vector.gp, -1);
  const entry = core.read32(registers.number(StateOffset.idtrBase) + event.vector * 4, IMPLICIT);
  const flags = core.readFlags();
  core.stack.open();
  core.stack.push(2, flags);
  core.stack.push(2, registers.selector(Segment.cs));
  core.stack.push(2, registers.rip + event.length);
  loadReal(core, Segment.cs, entry >>> 16);
  enterHandler(core, event, entry & 0xffff, flags & ~Flag.ac, true);
}

/**
 * Delivers an event through the IDT (SDM volume 3, 6.12 and 6.14), or the interrupt vector table in real mode. Everything is checked and pushed before a
 * register changes; GUEST_FAULT is thrown with the state as it was.
 */
export function deliverEvent(core: Core, event: PendingEvent): void {
  const { registers, stack } = core;
  if (registers.isReal) {
    deliverReal(core, event);
    return;
  }
  const long = registers.isLongMode;
  const external = isSoftware(event.type) ? 0 : 1;
  readGate(core, event, external);
  const { selector, target, stackIndex, isInterrupt, size } = gate;

  const code = readCode(core, selector, external);
  const codeError = (selector & ~3) | external;
  const oldPrivilege = registers.cpl;
  if (privilegeOf(code.attributes) > oldPrivilege) core.raise(Vector.gp, codeError);
  if (!(code.attributes & Attribute.p)) core.raise(Vector.np, codeError);
  if (long && (code.attributes & (Attribute.l | Attribute.db)) !== Attribute.l) core.raise(Vector.gp, codeError);
  const cpl = isConforming(code.attributes) ? oldPrivilege : privilegeOf(code.attributes);

  const flags = core.readFlags();
  const inward = cpl < oldPrivilege;
  let stackSelector = 0;
  let stackSegment: Descriptor | undefined;
  if (long) {
    let top = stackIndex !== 0 || inward ? innerLongStack(core, cpl, stackIndex, external) : registers.gpr(RSP);
    if (!isCanonical(top)) core.raise(Vector.ss, external);
    top = Math.floor(top / 16) * 16;
    stack.openLong(top, cpl, external);
  } else if (inward) {
    const inner = innerStack(core, cpl, external);
    stackSelector = inner.selector;
    const top = inner.offset;
    stackSegment = readStack(core, stackSelector, cpl, Vector.ts, external);
    stack.openIn(stackSegment, top, cpl, (stackSelector & ~3) | external);
  } else stack.open(external);
  requireTarget(core, code, target, external);
  if (!long || !pushLongFrame(core, event, flags)) {
    if (long || inward) {
      stack.push(size, registers.selector(Segment.ss));
      stack.push(size, registers.gprLo(RSP), registers.gprHi(RSP));
    }
    pushFrame(core, event, size, flags);
    if (event.errorCode >= 0) stack.push(size, event.errorCode);
  }

  loadCode(core, selector, code, cpl);
  if (long && cpl !== oldPrivilege) loadNullStack(core, cpl);
  else if (stackSegment !== undefined) loadCheckedStack(core, stackSelector, stackSegment);
  enterHandler(core, event, target, flags, isInterrupt);
  if (cpl !== oldPrivilege) core.modeChanged(false);
}

const CONTRIBUTORY: ReadonlySet<number> = new Set([Vector.de, Vector.ts, Vector.np, Vector.ss, Vector.gp]);

/** Whether an exception while another is delivered makes a double fault (SDM volume 3, table 6-5). */
export function makesDoubleFault(event: PendingEvent, second: number): boolean {
  if (event.type !== EventType.Exception) return false;
  if (CONTRIBUTORY.has(event.vector)) return CONTRIBUTORY.has(second);
  return event.vector === Vector.pf && (second === Vector.pf || CONTRIBUTORY.has(second));
}

/** An event in the VMX IDT-vectoring information format (SDM volume 3, 25.9.3). */
export function vectoringInformation(event: PendingEvent): number {
  return (event.vector | (event.type << 8) | (event.errorCode >= 0 ? 1 << 11 : 0) | (1 << 31)) | 0;
}
