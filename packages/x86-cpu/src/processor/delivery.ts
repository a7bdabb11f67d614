import type { Linear } from '../code/block.js';
import { EventType } from '../contract.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { PageAccess } from '../paging/index.js';
import { IMPLICIT } from './core.js';
import type { Core, PendingEvent } from './core.js';
import { Vector } from './fault.js';
import { Attribute, isCanonical, joinHalves, Shadow } from './registers.js';
import { isConforming, loadCode, loadNullStack, privilegeOf, readCode } from './segmentation.js';

const GATE_SIZE = 16;
const INTERRUPT_GATE = 14;
const TRAP_GATE = 15;

/** Traps, whose saved RFLAGS do not have RF set; all other exceptions are faults (SDM volume 3, 18.3.1.1). #DB here is always a step's. */
const TRAPS: ReadonlySet<number> = new Set([Vector.db, Vector.bp, Vector.of]);

/** RSP0 is 4 bytes into the 64-bit TSS; IST1 is at 0x24 (SDM volume 3, 8.7). */
const TSS_RSP0 = 4;
const TSS_IST1 = 0x24;

export function isSoftware(type: number): boolean {
  return type === EventType.SoftwareInterrupt || type === EventType.PrivilegedSoftware || type === EventType.SoftwareException;
}

/**
 * Delivers an event through the IDT in IA-32e mode (SDM volume 3, 6.14). Everything is checked and pushed before a
 * register changes; GUEST_FAULT is thrown with the state as it was.
 */
export function deliverEvent(core: Core, event: PendingEvent): void {
  const { registers } = core;
  const { type, vector } = event;
  const external = isSoftware(type) ? 0 : 1;
  const gateError = vector * 8 + 2 + external;
  if (vector * GATE_SIZE + GATE_SIZE - 1 > registers.lo(StateOffset.idtrLimit) >>> 0) core.raise(Vector.gp, gateError);
  const at = registers.number(StateOffset.idtrBase) + vector * GATE_SIZE;
  core.read64(at, IMPLICIT);
  const { lo, hi } = core;
  const offsetHigh = core.read32(at + 8, IMPLICIT);
  const gateType = (hi >> 8) & 0x1f;
  if (gateType !== INTERRUPT_GATE && gateType !== TRAP_GATE) core.raise(Vector.gp, gateError);
  if (external === 0 && type !== EventType.PrivilegedSoftware && registers.cpl > ((hi >> 13) & 3)) core.raise(Vector.gp, gateError);
  if (!(hi & 0x8000)) core.raise(Vector.np, gateError);
  const selector = lo >>> 16;
  const target: Linear = joinHalves((lo & 0xffff) | (hi & 0xffff0000), offsetHigh);
  const stackIndex = hi & 7;

  const code = readCode(core, selector, external);
  const codeError = (selector & ~3) | external;
  const oldPrivilege = registers.cpl;
  if (privilegeOf(code.attributes) > oldPrivilege) core.raise(Vector.gp, codeError);
  if (!(code.attributes & Attribute.p)) core.raise(Vector.np, codeError);
  if ((code.attributes & (Attribute.l | Attribute.db)) !== Attribute.l) core.raise(Vector.gp, codeError);
  const cpl = isConforming(code.attributes) ? oldPrivilege : privilegeOf(code.attributes);

  let stack = registers.gpr(4);
  if (stackIndex !== 0 || cpl < oldPrivilege) {
    const field = stackIndex !== 0 ? TSS_IST1 + 8 * (stackIndex - 1) : TSS_RSP0 + 8 * cpl;
    if (field + 7 > registers.limit(Segment.tr)) core.raise(Vector.ts, (registers.selector(Segment.tr) & ~3) | external);
    core.read64(registers.base(Segment.tr) + field, IMPLICIT);
    stack = core.value;
  }
  if (!isCanonical(stack)) core.raise(Vector.ss, external);
  stack = Math.floor(stack / 16) * 16;
  if (!isCanonical(target)) core.raise(Vector.gp, external);

  const flags = core.readFlags();
  const access = cpl === 3 ? PageAccess.User : 0;
  const saved = type === EventType.Exception && !TRAPS.has(vector) ? flags | Flag.rf : flags;
  stack = core.push(stack, registers.selector(Segment.ss), 0, access);
  stack = core.push(stack, registers.gprLo(4), registers.gprHi(4), access);
  stack = core.push(stack, saved, 0, access);
  stack = core.push(stack, registers.selector(Segment.cs), 0, access);
  stack = core.pushNumber(stack, registers.rip + event.length, access);
  if (event.errorCode >= 0) stack = core.push(stack, event.errorCode, 0, access);

  loadCode(core, selector, code, cpl);
  if (cpl !== oldPrivilege) loadNullStack(core, cpl);
  registers.setNumber(StateOffset.gpr + 8 * 4, stack);
  registers.rip = target;
  const cleared = Flag.tf | Flag.nt | Flag.rf | Flag.vm | (gateType === INTERRUPT_GATE ? Flag.if : 0);
  core.writeSystemFlags(flags & ~cleared);
  registers.interruptibility &= ~(Shadow.sti | Shadow.movSs);
  if (type === EventType.Nmi) core.block(Shadow.nmi);
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
