import { CodeMode } from '../decode/index.js';
import { LONG_MODE } from '../code/execution-mode.js';
import { Op } from '../decode/op.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { SYSTEM_FLAGS } from '../processor/core.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Attribute, Efer, isCanonical, joinHalves } from '../processor/registers.js';
import { requireRing0 } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT (SDM volume 2; APM volume 3). Intel's processors have SYSCALL in 64-bit mode only, AMD's also in compatibility and
 * protected mode; AMD's have SYSENTER outside IA-32e mode only.
 */
export const fastCalls: SystemInstructions = new Map();

const RCX = 1;
const RDX = 2;
const RSP = 4;
const R11 = 11;

/** Attributes of the flat segments that they load, and of the kinds of code. */
const FLAT_CODE = 0xb | Attribute.s | Attribute.p | Attribute.g;
const FLAT_STACK = 0x3 | Attribute.s | Attribute.p | Attribute.db | Attribute.g;

/** Enters flat segments of a privilege level, with 64-bit or 32-bit code. */
function loadFlat(core: Core, codeSelector: number, stackSelector: number, cpl: number, long: boolean): void {
  const code = FLAT_CODE | (long ? Attribute.l : Attribute.db);
  core.registers.setSegment(Segment.cs, (codeSelector & ~3) | cpl, code | (cpl << 5), 0xffffffff, 0, 0);
  core.registers.setSegment(Segment.ss, (stackSelector & ~3) | cpl, FLAT_STACK | (cpl << 5), 0xffffffff, 0, 0);
  core.modeChanged(false);
}

/** #UD where the vendor's processors do not have SYSCALL, or EFER.SCE is clear. */
function requireSyscall(core: Core): void {
  const here = core.mode === LONG_MODE || (core.vendor === 'amd' && !core.registers.isReal);
  if (!here || !(core.registers.lo(StateOffset.efer) & Efer.sce)) core.raise(Vector.ud, -1);
}

fastCalls.set(Op.Syscall, (core, instruction) => {
  const { registers } = core;
  requireSyscall(core);
  const selector = registers.hi(StateOffset.star) & 0xffff;
  const flags = core.readFlags();
  const next = registers.rip + instruction.length;
  if (!registers.isLongMode) {
    // Protected mode: the target is in STAR, and only IF is cleared.
    registers.setGpr(RCX, next | 0, 0);
    core.writeFlags(flags & ~(Flag.if | Flag.vm | Flag.rf));
    registers.rip = registers.lo(StateOffset.star) >>> 0;
    loadFlat(core, selector, selector + 8, 0, false);
    return Outcome.JumpedTraced;
  }
  const target = core.mode === LONG_MODE ? StateOffset.lstar : StateOffset.cstar;
  registers.setNumber(StateOffset.gpr + 8 * RCX, next);
  registers.setGpr(R11, flags, 0);
  core.writeFlags(flags & ~registers.lo(StateOffset.sfmask));
  registers.rip = registers.number(target);
  loadFlat(core, selector, selector + 8, 0, true);
  return Outcome.JumpedTraced;
});

fastCalls.set(Op.Sysret, (core, instruction) => {
  const { registers } = core;
  requireSyscall(core);
  requireRing0(core);
  const selector = registers.hi(StateOffset.star) >>> 16;
  const long = instruction.operandSize === 8;
  const target = long ? registers.gpr(RCX) : registers.gprLo(RCX) >>> 0;
  if (!isCanonical(target)) core.raise(Vector.gp, 0);
  if (registers.isLongMode) {
    const arithmetic = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of;
    core.writeFlags(registers.gprLo(R11) & (arithmetic | SYSTEM_FLAGS));
  } else core.writeFlags(core.readFlags() | Flag.if);
  registers.rip = target;
  loadFlat(core, long ? selector + 16 : selector, selector + 8, 3, long);
  return Outcome.JumpedTraced;
});

/** #UD or #GP where SYSENTER cannot be. */
function sysenterSelector(core: Core): number {
  const { registers } = core;
  if (core.vendor === 'amd' && registers.isLongMode) core.raise(Vector.ud, -1);
  const selector = registers.lo(StateOffset.sysenterCs) & 0xffff;
  if (registers.isReal || (selector & ~3) === 0) core.raise(Vector.gp, 0);
  return selector;
}

fastCalls.set(Op.Sysenter, (core) => {
  const { registers } = core;
  const selector = sysenterSelector(core);
  const long = registers.isLongMode;
  core.writeSystemFlags(registers.systemFlags & ~(Flag.if | Flag.vm));
  registers.set(StateOffset.gpr + 8 * RSP, registers.lo(StateOffset.sysenterEsp), long ? registers.hi(StateOffset.sysenterEsp) : 0);
  registers.rip = joinHalves(registers.lo(StateOffset.sysenterEip), long ? registers.hi(StateOffset.sysenterEip) : 0);
  loadFlat(core, selector, selector + 8, 0, long);
  return Outcome.Jumped;
});

fastCalls.set(Op.Sysexit, (core, instruction) => {
  const { registers } = core;
  const selector = sysenterSelector(core);
  requireRing0(core);
  const long = core.mode.bits === CodeMode.Bits64 && instruction.operandSize === 8;
  const target = long ? registers.gpr(RDX) : registers.gprLo(RDX) >>> 0;
  if (!isCanonical(target) || (long && !isCanonical(registers.gpr(RCX)))) core.raise(Vector.gp, 0);
  registers.setGpr(RSP, registers.gprLo(RCX), long ? registers.gprHi(RCX) : 0);
  registers.rip = target;
  loadFlat(core, selector + (long ? 32 : 16), selector + (long ? 40 : 24), 3, long);
  return Outcome.Jumped;
});
