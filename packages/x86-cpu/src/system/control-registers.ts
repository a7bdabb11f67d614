import { ExitKind } from '../contract.js';
import { OperandKind } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { LONG_MODE } from '../code/execution-mode.js';
import { Segment, StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Dr6, Dr7 } from '../processor/debug.js';
import { Vector } from '../processor/fault.js';
import { PHYSICAL_ADDRESS_BITS } from '../processor/mmu.js';
import { Attribute, Cr0, Cr4, Efer } from '../processor/registers.js';
import { readWord, requireRing0, writeRegister, operandAddress } from './operands.js';
import { intercept, Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';
import { TASK_PRIORITY, writeVirtualApic } from './virtual-apic.js';

/** MOV to and from control and debug registers, CLTS, LMSW, SMSW, XGETBV, XSETBV. */
export const controlRegisters: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;

/** State components: x87 and SSE (SDM volume 1, 13.1). */
export const XCR0_SUPPORTED = 3;

/** `ProcessorExit.crAccess`. */
const CrAccess = { write: 0, read: 1, clts: 2, lmsw: 3 } as const;

const CR0_WRITABLE = Cr0.pe | Cr0.mp | Cr0.em | Cr0.ts | Cr0.ne | Cr0.wp | Cr0.am | Cr0.nw | Cr0.cd | Cr0.pg;
/** OSFXSR, OSXMMEXCPT and OSXSAVE can be set, and do nothing, because kernels set them unasked. */
const CR4_WRITABLE =
  Cr4.tsd | Cr4.de | Cr4.pse | Cr4.pae | Cr4.mce | Cr4.pge | Cr4.pce | Cr4.osfxsr | Cr4.osxmmexcpt | Cr4.fsgsbase |
  Cr4.umip | Cr4.pcide | Cr4.osxsave | Cr4.smep | Cr4.smap;

/** Bits of CR0 and CR4 whose change makes PAE paging read its register entries again (SDM volume 3, 4.4.1). */
const CR0_RELOADS = Cr0.pg | Cr0.cd | Cr0.nw;
const CR4_RELOADS = Cr4.pae | Cr4.pge | Cr4.pse | Cr4.smep;

/** Bit 63 of a value for CR3: keep the translations of its PCID. */
const CR3_NO_FLUSH = 1 << 31;

/** Where the control registers are kept, by number. */
const OFFSETS: readonly (number | undefined)[] = [
  StateOffset.cr0, undefined, StateOffset.cr2, StateOffset.cr3, StateOffset.cr4, undefined, undefined, undefined, StateOffset.cr8,
];

function interceptRegister(core: Core, kind: number, number: number, access: number, register: number): Outcome {
  core.exit.vector = number;
  core.exit.crAccess = access;
  core.exit.register = register;
  return intercept(core, kind);
}

/** Writes CR0 after all intercepts; bits 63:32 must be clear. */
function writeCr0(core: Core, lo: number, hi: number): void {
  const { registers } = core;
  const value = (lo & CR0_WRITABLE) | Cr0.et;
  const paging = (value & Cr0.pg) !== 0;
  if (hi !== 0 || (paging && !(value & Cr0.pe)) || (value & Cr0.nw && !(value & Cr0.cd))) core.raise(Vector.gp, 0);
  const wasPaging = (registers.lo(StateOffset.cr0) & Cr0.pg) !== 0;
  // 64-bit code cannot switch paging off; IA-32e mode needs PAE, and code that is not 64-bit code yet (SDM volume 2, MOV CR).
  if (!paging && wasPaging && core.mode === LONG_MODE) core.raise(Vector.gp, 0);
  if (paging && !wasPaging && registers.lo(StateOffset.efer) & Efer.lme) {
    if (!(registers.lo(StateOffset.cr4) & Cr4.pae) || registers.attributes(Segment.cs) & Attribute.l) core.raise(Vector.gp, 0);
  }
  // A PCID cannot outlive paging (SDM volume 3, 4.10.1).
  if (!paging && registers.lo(StateOffset.cr4) & Cr4.pcide) core.raise(Vector.gp, 0);
  const longWillBe = (registers.lo(StateOffset.efer) & Efer.lme) !== 0;
  if (paging && !longWillBe && registers.lo(StateOffset.cr4) & Cr4.pae && (registers.lo(StateOffset.cr0) ^ value) & CR0_RELOADS) {
    core.mmu.loadPdptes(registers.lo(StateOffset.cr3));
  }
  registers.set(StateOffset.cr0, value, 0);
  core.modeChanged(true);
}

function writeCr4(core: Core, lo: number, hi: number): void {
  if (hi !== 0 || lo & ~CR4_WRITABLE || (core.registers.isLongMode && !(lo & Cr4.pae))) core.raise(Vector.gp, 0);
  const { registers } = core;
  const old = registers.lo(StateOffset.cr4);
  if (lo & Cr4.pcide && !(old & Cr4.pcide) && (!registers.isLongMode || registers.lo(StateOffset.cr3) & 0xfff)) core.raise(Vector.gp, 0);
  const paging = (registers.lo(StateOffset.cr0) & Cr0.pg) !== 0;
  if (paging && !registers.isLongMode && lo & Cr4.pae && (old ^ lo) & CR4_RELOADS) core.mmu.loadPdptes(registers.lo(StateOffset.cr3));
  registers.set(StateOffset.cr4, lo, 0);
  core.modeChanged(true);
}

function writeCr3(core: Core, lo: number, hi: number): void {
  const { registers } = core;
  const cr4 = registers.lo(StateOffset.cr4);
  // With PCIDs, bit 63 allows translations to stay; none are kept here (SDM volume 3, 4.10.4.1).
  const address = cr4 & Cr4.pcide ? hi & ~CR3_NO_FLUSH : hi;
  if (address >>> (PHYSICAL_ADDRESS_BITS - 32) !== 0) core.raise(Vector.gp, 0);
  if (registers.lo(StateOffset.cr0) & Cr0.pg && cr4 & Cr4.pae && !registers.isLongMode) core.mmu.loadPdptes(lo);
  registers.set(StateOffset.cr3, lo, address);
  core.modeChanged(true);
}

/** A register with a guest/host mask (SDM volume 3, 25.1.3): the owner's bits read as the shadow and exit when they would change it. */
function masked(value: number, mask: number, shadow: number): number {
  return (value & ~mask) | (shadow & mask);
}

controlRegisters.set(Op.MovCr, (core, instruction) => {
  requireRing0(core);
  const { registers, intercepts } = core;
  const [first, second] = instruction.operands;
  if (first.kind === OperandKind.CtrlReg) {
    const number = first.reg;
    const lo = registers.gprLo(second.reg);
    const hi = core.mode === LONG_MODE ? registers.gprHi(second.reg) : 0;
    switch (number) {
      case 0:
        if ((lo ^ intercepts.cr0Shadow) & intercepts.cr0Mask) return interceptRegister(core, ExitKind.CrAccess, number, CrAccess.write, second.reg);
        writeCr0(core, masked(lo, intercepts.cr0Mask, registers.lo(StateOffset.cr0)), hi);
        return Outcome.Done;
      case 2:
        registers.set(StateOffset.cr2, lo, hi);
        return Outcome.Done;
      case 3:
        if (intercepts.cr3Load) return interceptRegister(core, ExitKind.CrAccess, number, CrAccess.write, second.reg);
        writeCr3(core, lo, hi);
        return Outcome.Done;
      case 4:
        if ((lo ^ intercepts.cr4Shadow) & intercepts.cr4Mask) return interceptRegister(core, ExitKind.CrAccess, number, CrAccess.write, second.reg);
        writeCr4(core, masked(lo, intercepts.cr4Mask, registers.lo(StateOffset.cr4)), hi);
        return Outcome.Done;
      case 8:
        if (intercepts.cr8Load) return interceptRegister(core, ExitKind.CrAccess, number, CrAccess.write, second.reg);
        if (hi !== 0 || lo & ~15) core.raise(Vector.gp, 0);
        if (core.virtualApic !== null) return writeVirtualApic(core, core.virtualApic, TASK_PRIORITY, lo << 4);
        registers.set(StateOffset.cr8, lo, 0);
        core.attention = true;
        return Outcome.Done;
      default:
        return core.raise(Vector.ud, -1);
    }
  }
  const number = second.reg;
  if ((number === 3 && intercepts.cr3Store) || (number === 8 && intercepts.cr8Store)) {
    return interceptRegister(core, ExitKind.CrAccess, number, CrAccess.read, first.reg);
  }
  if (number === 8 && core.virtualApic !== null) {
    registers.setGpr(first.reg, core.virtualApic.read(TASK_PRIORITY) >>> 4, 0);
    return Outcome.Done;
  }
  const offset = OFFSETS[number];
  if (offset === undefined) return core.raise(Vector.ud, -1);
  let lo = registers.lo(offset);
  if (number === 0) lo = masked(lo, intercepts.cr0Mask, intercepts.cr0Shadow);
  if (number === 4) lo = masked(lo, intercepts.cr4Mask, intercepts.cr4Shadow);
  registers.setGpr(first.reg, lo, core.mode === LONG_MODE ? registers.hi(offset) : 0);
  return Outcome.Done;
});

controlRegisters.set(Op.Clts, (core) => {
  requireRing0(core);
  const { registers, intercepts } = core;
  if (intercepts.cr0Mask & Cr0.ts) {
    if (intercepts.cr0Shadow & Cr0.ts) return interceptRegister(core, ExitKind.CrAccess, 0, CrAccess.clts, 0);
    return Outcome.Done;
  }
  registers.i32[StateOffset.cr0 >> 2]! &= ~Cr0.ts;
  return Outcome.Done;
});

controlRegisters.set(Op.Lmsw, (core, instruction) => {
  requireRing0(core);
  const { registers, intercepts } = core;
  const source = readWord(core, instruction, instruction.operands[0]);
  const old = registers.lo(StateOffset.cr0);
  const SWITCHABLE = Cr0.pe | Cr0.mp | Cr0.em | Cr0.ts;
  // LMSW can set PE but not clear it.
  const touched = source & Cr0.pe ? SWITCHABLE : SWITCHABLE & ~Cr0.pe;
  const differs = (source ^ intercepts.cr0Shadow) & intercepts.cr0Mask & touched;
  if (differs) return interceptRegister(core, ExitKind.CrAccess, 0, CrAccess.lmsw, source);
  const changeable = touched & ~intercepts.cr0Mask;
  registers.set(StateOffset.cr0, (old & ~changeable) | (source & changeable), 0);
  core.modeChanged(true);
  return Outcome.Done;
});

controlRegisters.set(Op.Smsw, (core, instruction) => {
  if (core.registers.lo(StateOffset.cr4) & Cr4.umip && core.registers.cpl !== 0) core.raise(Vector.gp, 0);
  const { registers, intercepts } = core;
  const value = masked(registers.lo(StateOffset.cr0), intercepts.cr0Mask, intercepts.cr0Shadow);
  const operand = instruction.operands[0];
  if (operand.kind === OperandKind.Mem) core.writeSized(operandAddress(core, instruction, true), 2, value, 0, core.mmu.mode);
  else writeRegister(core, operand.reg, instruction.operandSize, value, 0);
  return Outcome.Done;
});

/** Fixed bits of DR6 and DR7 (SDM volume 3, 18.2). */
const DR6_SET = 0xffff0ff0 | 0;
const DR6_WRITABLE = 0xe00f;
const DR7_SET = 0x400;
const DR7_CLEAR = 0xd800;

controlRegisters.set(Op.MovDr, (core, instruction) => {
  const { registers, intercepts } = core;
  const [first, second] = instruction.operands;
  const write = first.kind === OperandKind.DebugReg;
  const named = write ? first.reg : second.reg;
  const register = write ? second.reg : first.reg;
  if (named > 7) core.raise(Vector.ud, -1);
  if ((named === 4 || named === 5) && registers.lo(StateOffset.cr4) & Cr4.de) core.raise(Vector.ud, -1);
  const number = named === 4 || named === 5 ? named + 2 : named;
  requireRing0(core);
  if (intercepts.drAccess) return interceptRegister(core, ExitKind.DrAccess, number, write ? CrAccess.write : CrAccess.read, register);
  if (registers.lo(StateOffset.dr7) & Dr7.generalDetect) {
    registers.i32[StateOffset.dr6 >> 2] = (registers.lo(StateOffset.dr6) & ~Dr6.hits) | Dr6.bd;
    core.raise(Vector.db, -1);
  }
  const offset = number === 6 ? StateOffset.dr6 : number === 7 ? StateOffset.dr7 : StateOffset.dr0 + 8 * number;
  if (!write) {
    registers.setGpr(register, registers.lo(offset), core.mode === LONG_MODE ? registers.hi(offset) : 0);
    return Outcome.Done;
  }
  let lo = registers.gprLo(register);
  const hi = core.mode === LONG_MODE ? registers.gprHi(register) : 0;
  if (number >= 6 && hi !== 0) core.raise(Vector.gp, 0);
  if (number === 6) lo = (lo & DR6_WRITABLE) | DR6_SET;
  if (number === 7) lo = (lo & ~DR7_CLEAR) | DR7_SET;
  registers.set(offset, lo, hi);
  if (number === 7) core.debugChanged();
  return Outcome.Done;
});

controlRegisters.set(Op.Xgetbv, (core) => {
  const { registers } = core;
  if (!(registers.lo(StateOffset.cr4) & Cr4.osxsave)) core.raise(Vector.ud, -1);
  if (registers.gprLo(RCX) !== 0) core.raise(Vector.gp, 0);
  registers.setGpr(RAX, registers.lo(StateOffset.xcr0), 0);
  registers.setGpr(RDX, registers.hi(StateOffset.xcr0), 0);
  return Outcome.Done;
});

controlRegisters.set(Op.Xsetbv, (core) => {
  const { registers } = core;
  if (!(registers.lo(StateOffset.cr4) & Cr4.osxsave)) core.raise(Vector.ud, -1);
  requireRing0(core);
  if (core.intercepts.xsetbv) return intercept(core, ExitKind.Xsetbv);
  // x87 state, bit 0, is always on; of the others there is SSE.
  const value = registers.gprLo(RAX);
  if (registers.gprLo(RCX) !== 0 || registers.gprLo(RDX) !== 0 || value & ~XCR0_SUPPORTED || !(value & 1)) core.raise(Vector.gp, 0);
  registers.set(StateOffset.xcr0, value, 0);
  return Outcome.Done;
});
