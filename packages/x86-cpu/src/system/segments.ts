import { ExitKind } from '../contract.js';
import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment, StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { GuestFault, Vector } from '../processor/fault.js';
import { LONG_MODE } from '../code/execution-mode.js';
import { Attribute, Cr4, isCanonical, Shadow } from '../processor/registers.js';
import { loadData, loadReal, loadStack, loadSystemSegment, privilegeOf, readDescriptor } from '../processor/segmentation.js';
import type { Descriptor } from '../processor/segmentation.js';
import { operandAddress, readWord, requireRing0, writeRegister, writeWord } from './operands.js';
import { intercept, Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** Segment registers, descriptor tables, and the instructions that look into descriptors. */
export const segments: SystemInstructions = new Map();

/** Loads any segment register but CS from a selector. SS holds interrupts off for one more instruction. */
function loadSegment(core: Core, segment: number, selector: number): void {
  if (segment !== Segment.ss) {
    loadData(core, segment, selector);
    return;
  }
  if (core.registers.isReal) loadReal(core, segment, selector);
  else loadStack(core, selector, core.registers.cpl, core.mode === LONG_MODE);
  core.block(Shadow.movSs);
}

segments.set(Op.MovSeg, (core, instruction) => {
  const [destination, source] = instruction.operands;
  if (destination.kind !== OperandKind.SegReg) {
    writeWord(core, instruction, destination, core.registers.selector(source.reg));
    return Outcome.Done;
  }
  loadSegment(core, destination.reg, readWord(core, instruction, source));
  return Outcome.Done;
});

// Segment registers only; other pushes and pops are micro-operations.
segments.set(Op.Push, (core, instruction) => {
  const stack = core.stack.open();
  stack.push(instruction.operandSize, core.registers.selector(instruction.operands[0].reg));
  stack.commit();
  return Outcome.Done;
});
segments.set(Op.Pop, (core, instruction) => {
  const stack = core.stack.open();
  // With SS the pointer must be as wide as the old SS says.
  const selector = stack.popLow(instruction.operandSize) & 0xffff;
  loadSegment(core, instruction.operands[0].reg, selector);
  stack.commit();
  return Outcome.Done;
});

for (const [op, segment] of [
  [Op.Les, Segment.es],
  [Op.Lss, Segment.ss],
  [Op.Lds, Segment.ds],
  [Op.Lfs, Segment.fs],
  [Op.Lgs, Segment.gs],
] as const) {
  segments.set(op, (core, instruction) => {
    const size = instruction.operandSize;
    const at = operandAddress(core, instruction);
    core.readSized(at, size, core.mmu.mode);
    const { lo, hi } = core;
    loadSegment(core, segment, core.read16(at + size, core.mmu.mode));
    writeRegister(core, instruction.operands[0].reg, size, lo, hi);
    return Outcome.Done;
  });
}

/** `ProcessorExit.tableAccess`. */
const TableAccess = { sgdt: 0, sidt: 1, lgdt: 2, lidt: 3, sldt: 4, str: 5, lldt: 6, ltr: 7 } as const;

function interceptTable(core: Core, access: number, instruction: Instruction): Outcome {
  core.exit.tableAccess = access;
  core.exit.register = instruction.operands[0].kind === OperandKind.Reg ? instruction.operands[0].reg : 0;
  return intercept(core, ExitKind.DescriptorTable);
}

/** #UD in real mode, which has no descriptors to look at. */
function requireProtected(core: Core): void {
  if (core.registers.isReal) core.raise(Vector.ud, -1);
}

/** CR4.UMIP keeps the tables' places from outer rings. */
function requireUnprotected(core: Core): void {
  if (core.registers.lo(StateOffset.cr4) & Cr4.umip && core.registers.cpl !== 0) core.raise(Vector.gp, 0);
}

for (const [op, access, base, limit] of [
  [Op.Sgdt, TableAccess.sgdt, StateOffset.gdtrBase, StateOffset.gdtrLimit],
  [Op.Sidt, TableAccess.sidt, StateOffset.idtrBase, StateOffset.idtrLimit],
] as const) {
  segments.set(op, (core, instruction) => {
    requireUnprotected(core);
    if (core.intercepts.descriptorTables) return interceptTable(core, access, instruction);
    const { registers } = core;
    const at = operandAddress(core, instruction, true);
    const size = instruction.operands[0].size - 2;
    core.writeSized(at + 2, size, registers.lo(base), registers.hi(base), core.mmu.mode);
    core.writeSized(at, 2, registers.lo(limit), 0, core.mmu.mode);
    return Outcome.Done;
  });
}
for (const [op, access, base, limit] of [
  [Op.Lgdt, TableAccess.lgdt, StateOffset.gdtrBase, StateOffset.gdtrLimit],
  [Op.Lidt, TableAccess.lidt, StateOffset.idtrBase, StateOffset.idtrLimit],
] as const) {
  segments.set(op, (core, instruction) => {
    requireRing0(core);
    if (core.intercepts.descriptorTables) return interceptTable(core, access, instruction);
    const { registers } = core;
    const at = operandAddress(core, instruction);
    const size = core.read16(at, core.mmu.mode);
    core.readSized(at + 2, instruction.operands[0].size - 2, core.mmu.mode);
    if (!isCanonical(core.value)) core.raise(Vector.gp, 0);
    // A 16-bit operand size loads a base of 24 bits.
    const mask = core.mode !== LONG_MODE && instruction.operandSize === 2 ? 0xffffff : -1;
    registers.i32[limit >> 2] = size;
    registers.set(base, core.lo & mask, core.hi);
    return Outcome.Done;
  });
}
for (const [op, access, segment] of [
  [Op.Sldt, TableAccess.sldt, Segment.ldtr],
  [Op.Str, TableAccess.str, Segment.tr],
] as const) {
  segments.set(op, (core, instruction) => {
    requireProtected(core);
    requireUnprotected(core);
    if (core.intercepts.descriptorTables) return interceptTable(core, access, instruction);
    writeWord(core, instruction, instruction.operands[0], core.registers.selector(segment));
    return Outcome.Done;
  });
}
for (const [op, access, segment] of [
  [Op.Lldt, TableAccess.lldt, Segment.ldtr],
  [Op.Ltr, TableAccess.ltr, Segment.tr],
] as const) {
  segments.set(op, (core, instruction) => {
    requireProtected(core);
    requireRing0(core);
    if (core.intercepts.descriptorTables) return interceptTable(core, access, instruction);
    loadSystemSegment(core, segment, readWord(core, instruction, instruction.operands[0]));
    return Outcome.Done;
  });
}

/** Reads a descriptor to look at it: undefined where the selector names none. Page faults still happen. */
function peek(core: Core, selector: number): Descriptor | undefined {
  if ((selector & ~3) === 0) return undefined;
  try {
    return readDescriptor(core, selector, Vector.gp, 0);
  } catch (problem) {
    if (problem instanceof GuestFault && core.fault.vector === Vector.gp) return undefined;
    throw problem;
  }
}

/** Whether the current privilege and the selector's may look at a segment. */
function isVisible(core: Core, selector: number, attributes: number): boolean {
  const conformingCode = (attributes & (Attribute.s | 0xc)) === (Attribute.s | 0xc);
  const privilege = privilegeOf(attributes);
  return conformingCode || (core.registers.cpl <= privilege && (selector & 3) <= privilege);
}

/** System descriptor types that LAR, and LSL, accept in IA-32e mode: LDT, TSS (free, busy), and for LAR call gates. */
const LAR_TYPES: ReadonlySet<number> = new Set([2, 9, 11, 12]);
const LSL_TYPES: ReadonlySet<number> = new Set([2, 9, 11]);
/** In protected mode also those of 16 bits, and task gates. */
const LEGACY_LAR_TYPES: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 9, 11, 12]);
const LEGACY_LSL_TYPES: ReadonlySet<number> = new Set([1, 2, 3, 9, 11]);

for (const [op, longTypes, legacyTypes] of [
  [Op.Lar, LAR_TYPES, LEGACY_LAR_TYPES],
  [Op.Lsl, LSL_TYPES, LEGACY_LSL_TYPES],
] as const) {
  segments.set(op, (core, instruction) => {
    requireProtected(core);
    const types = core.registers.isLongMode ? longTypes : legacyTypes;
    const [destination, source] = instruction.operands;
    const selector = readWord(core, instruction, source);
    const found = peek(core, selector);
    const accepted =
      found !== undefined &&
      (found.attributes & Attribute.s || types.has(found.attributes & Attribute.type)) &&
      isVisible(core, selector, found.attributes);
    if (found !== undefined && accepted) {
      // Limit bits 19:16 come along: the manuals leave them open, processors give them.
      const limit = found.attributes & Attribute.g ? found.limit >>> 28 : (found.limit >>> 16) & 0xf;
      const rights = ((found.attributes & 0xf0ff) << 8) | (limit << 16);
      writeRegister(core, destination.reg, instruction.operandSize, op === Op.Lar ? rights : found.limit, 0);
    }
    core.setZero(found !== undefined && Boolean(accepted));
    return Outcome.Done;
  });
}
for (const op of [Op.Verr, Op.Verw] as const) {
  segments.set(op, (core, instruction) => {
    requireProtected(core);
    const selector = readWord(core, instruction, instruction.operands[0]);
    const found = peek(core, selector);
    let accepted = false;
    if (found !== undefined && found.attributes & Attribute.s && isVisible(core, selector, found.attributes)) {
      const isCode = (found.attributes & 8) !== 0;
      const bit1 = (found.attributes & 2) !== 0;
      accepted = op === Op.Verr ? !isCode || bit1 : !isCode && bit1;
    }
    core.setZero(accepted);
    return Outcome.Done;
  });
}

// The destination's RPL becomes at least the source's; it is written only where that changes it (SDM volume 2, ARPL; and so an EPYC does).
segments.set(Op.Arpl, (core, instruction) => {
  requireProtected(core);
  const [destination, source] = instruction.operands;
  const isMemory = destination.kind === OperandKind.Mem;
  const at = isMemory ? operandAddress(core, instruction, true) : 0;
  const selector = isMemory ? core.read16(at, core.mmu.mode) : core.registers.gprLo(destination.reg) & 0xffff;
  const least = core.registers.gprLo(source.reg) & 3;
  const raised = (selector & 3) < least;
  if (raised) {
    const value = (selector & ~3) | least;
    if (isMemory) core.writeSized(at, 2, value, 0, core.mmu.mode);
    else writeRegister(core, destination.reg, 2, value, 0);
  }
  core.setZero(raised);
  return Outcome.Done;
});
