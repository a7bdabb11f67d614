import { ExitKind } from '../contract.js';
import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment, StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { GuestFault, Vector } from '../processor/fault.js';
import { Attribute, isCanonical, Shadow } from '../processor/registers.js';
import { loadData, loadStack, loadSystemSegment, privilegeOf, readDescriptor } from '../processor/segmentation.js';
import type { Descriptor } from '../processor/segmentation.js';
import { operandAddress, readWord, requireRing0, writeRegister, writeWord } from './operands.js';
import { intercept, Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** Segment registers, descriptor tables, and the instructions that look into descriptors. */
export const segments: SystemInstructions = new Map();

const RSP = 4;

segments.set(Op.MovSeg, (core, instruction) => {
  const [destination, source] = instruction.operands;
  if (destination.kind !== OperandKind.SegReg) {
    writeWord(core, instruction, destination, core.registers.selector(source.reg));
    return Outcome.Done;
  }
  const selector = readWord(core, instruction, source);
  if (destination.reg === Segment.ss) {
    loadStack(core, selector, core.registers.cpl, Vector.gp);
    core.block(Shadow.movSs);
  } else loadData(core, destination.reg, selector);
  return Outcome.Done;
});

// FS and GS only; other pushes and pops are micro-operations.
segments.set(Op.Push, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize === 2 ? 2 : 8;
  const stack = registers.gpr(RSP) - size;
  core.writeSized(stack, size, registers.selector(instruction.operands[0].reg), 0, core.mmu.mode);
  registers.setNumber(StateOffset.gpr + 8 * RSP, stack);
  return Outcome.Done;
});
segments.set(Op.Pop, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize === 2 ? 2 : 8;
  const stack = registers.gpr(RSP);
  core.readSized(stack, size, core.mmu.mode);
  loadData(core, instruction.operands[0].reg, core.lo & 0xffff);
  registers.setNumber(StateOffset.gpr + 8 * RSP, stack + size);
  return Outcome.Done;
});

/** `ProcessorExit.tableAccess`. */
const TableAccess = { sgdt: 0, sidt: 1, lgdt: 2, lidt: 3, sldt: 4, str: 5, lldt: 6, ltr: 7 } as const;

function interceptTable(core: Core, access: number, instruction: Instruction): Outcome {
  core.exit.tableAccess = access;
  core.exit.register = instruction.operands[0].kind === OperandKind.Reg ? instruction.operands[0].reg : 0;
  return intercept(core, ExitKind.DescriptorTable);
}

for (const [op, access, base, limit] of [
  [Op.Sgdt, TableAccess.sgdt, StateOffset.gdtrBase, StateOffset.gdtrLimit],
  [Op.Sidt, TableAccess.sidt, StateOffset.idtrBase, StateOffset.idtrLimit],
] as const) {
  segments.set(op, (core, instruction) => {
    if (core.intercepts.descriptorTables) return interceptTable(core, access, instruction);
    const { registers } = core;
    const at = operandAddress(core, instruction);
    core.writeSized(at + 2, 8, registers.lo(base), registers.hi(base), core.mmu.mode);
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
    core.read64(at + 2, core.mmu.mode);
    if (!isCanonical(core.value)) core.raise(Vector.gp, 0);
    registers.i32[limit >> 2] = size;
    registers.set(base, core.lo, core.hi);
    return Outcome.Done;
  });
}
for (const [op, access, segment] of [
  [Op.Sldt, TableAccess.sldt, Segment.ldtr],
  [Op.Str, TableAccess.str, Segment.tr],
] as const) {
  segments.set(op, (core, instruction) => {
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

/** System descriptor types that LAR, and LSL, accept in 64-bit mode: LDT, TSS (free, busy), and for LAR call gates. */
const LAR_TYPES: ReadonlySet<number> = new Set([2, 9, 11, 12]);
const LSL_TYPES: ReadonlySet<number> = new Set([2, 9, 11]);

for (const [op, types] of [
  [Op.Lar, LAR_TYPES],
  [Op.Lsl, LSL_TYPES],
] as const) {
  segments.set(op, (core, instruction) => {
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
