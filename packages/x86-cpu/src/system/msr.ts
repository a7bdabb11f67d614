import { ExitKind } from '../contract.js';
import { Op } from '../decode/op.js';
import { Segment, SEGMENT_SIZE, StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Cr0, Cr4, Efer, highHalf, isCanonical, joinHalves, lowHalf } from '../processor/registers.js';
import { requireRing0, writeRegister } from './operands.js';
import { intercept, Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';
import { TASK_PRIORITY, writeVirtualApic } from './virtual-apic.js';

/** RDMSR, WRMSR, and the instructions that reach what lies behind an MSR. */
export const msrs: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;

/** Model-specific registers by number (SDM volume 4). */
const Msr = {
  tsc: 0x10, sysenterCs: 0x174, sysenterEsp: 0x175, sysenterEip: 0x176, pat: 0x277, efer: 0xc0000080, star: 0xc0000081, lstar: 0xc0000082,
  cstar: 0xc0000083, sfmask: 0xc0000084, fsBase: 0xc0000100, gsBase: 0xc0000101, kernelGsBase: 0xc0000102, tscAux: 0xc0000103,
} as const;

const segmentBase = (segment: number): number => StateOffset.segments + segment * SEGMENT_SIZE + 8;

/** MSRs that are plain fields of the state, with what may be written: any value, 32 bits, or a canonical address. */
const FIELDS: ReadonlyMap<number, { offset: number; holds: 'any' | 'word' | 'address' }> = new Map([
  [Msr.sysenterCs, { offset: StateOffset.sysenterCs, holds: 'word' }],
  [Msr.sysenterEsp, { offset: StateOffset.sysenterEsp, holds: 'address' }],
  [Msr.sysenterEip, { offset: StateOffset.sysenterEip, holds: 'address' }],
  [Msr.star, { offset: StateOffset.star, holds: 'any' }],
  [Msr.lstar, { offset: StateOffset.lstar, holds: 'address' }],
  [Msr.cstar, { offset: StateOffset.cstar, holds: 'address' }],
  [Msr.sfmask, { offset: StateOffset.sfmask, holds: 'word' }],
  [Msr.fsBase, { offset: segmentBase(Segment.fs), holds: 'address' }],
  [Msr.gsBase, { offset: segmentBase(Segment.gs), holds: 'address' }],
  [Msr.kernelGsBase, { offset: StateOffset.kernelGsBase, holds: 'address' }],
  [Msr.tscAux, { offset: StateOffset.tscAux, holds: 'word' }],
]);

/** MSRs of the x2APIC's registers. */
const APIC_MSRS = 0x800;
const APIC_MSR_LAST = 0x8ff;
const isApicMsr = (number: number): boolean => number >= APIC_MSRS && number <= APIC_MSR_LAST;

/** Registers whose WRMSR is virtualized, and what may be written: task priority, EOI, self-IPI (SDM volume 3, 30.5). */
const WRITABLE_APIC_BITS: ReadonlyMap<number, number> = new Map([
  [TASK_PRIORITY, 0xff],
  [0x0b, 0],
  [0x3f, 0xff],
]);

const EFER_WRITABLE = Efer.sce | Efer.lme | Efer.nxe;

/** Whether an access exits: by the bitmap, and always outside the two ranges it covers (SDM volume 3, 25.6.9). */
function exits(core: Core, number: number, write: boolean): boolean {
  const index = number & 0x1fff;
  const base = number >>> 13;
  if (base !== 0 && base !== 0xc0000000 >>> 13) return true;
  const byte = (write ? 2048 : 0) + (base === 0 ? 0 : 1024) + (index >> 3);
  return (core.intercepts.msrBitmap[byte]! & (1 << (index & 7))) !== 0;
}

msrs.set(Op.Rdmsr, (core) => {
  requireRing0(core);
  const { registers } = core;
  const number = registers.gprLo(RCX) >>> 0;
  if (exits(core, number, false)) return intercept(core, ExitKind.MsrRead);
  let lo: number;
  let hi: number;
  const field = FIELDS.get(number);
  if (field !== undefined) {
    lo = registers.lo(field.offset);
    hi = registers.hi(field.offset);
  } else if (number === Msr.efer) {
    lo = registers.lo(StateOffset.efer);
    hi = 0;
  } else if (number === Msr.pat) {
    lo = registers.lo(StateOffset.pat);
    hi = registers.hi(StateOffset.pat);
  } else if (number === Msr.tsc) {
    if (!core.tscReadable) return Outcome.Unreadable;
    const tsc = core.readTsc();
    lo = lowHalf(tsc);
    hi = highHalf(tsc);
  } else if (core.virtualApic !== null && isApicMsr(number)) {
    lo = core.virtualApic.read(number - APIC_MSRS);
    hi = 0;
  } else return core.raise(Vector.gp, 0);
  registers.setGpr(RAX, lo, 0);
  registers.setGpr(RDX, hi, 0);
  return Outcome.Done;
});

msrs.set(Op.Wrmsr, (core) => {
  requireRing0(core);
  const { registers } = core;
  const number = registers.gprLo(RCX) >>> 0;
  if (exits(core, number, true)) return intercept(core, ExitKind.MsrWrite);
  const lo = registers.gprLo(RAX);
  const hi = registers.gprLo(RDX);
  const field = FIELDS.get(number);
  if (field !== undefined) {
    if (field.holds === 'word' && hi !== 0) core.raise(Vector.gp, 0);
    if (field.holds === 'address' && !isCanonical(joinHalves(lo, hi))) core.raise(Vector.gp, 0);
    registers.set(field.offset, lo, hi);
    registers.modeIsStale = true;
  } else if (number === Msr.efer) writeEfer(core, lo, hi);
  else if (number === Msr.pat) writePat(core, lo, hi);
  else if (number === Msr.tsc) {
    if (!core.tscReadable) return Outcome.Unreadable;
    // The TSC itself is the machine's; writing it moves the offset.
    registers.setNumber(StateOffset.tscOffset, joinHalves(lo, hi) - (core.readTsc() - registers.number(StateOffset.tscOffset)));
  } else if (core.virtualApic !== null && isApicMsr(number)) {
    const register = number - APIC_MSRS;
    if (hi !== 0 || lo & ~(WRITABLE_APIC_BITS.get(register) ?? core.raise(Vector.gp, 0))) core.raise(Vector.gp, 0);
    return writeVirtualApic(core, core.virtualApic, register, lo);
  } else core.raise(Vector.gp, 0);
  return Outcome.Done;
});

function writeEfer(core: Core, lo: number, hi: number): void {
  const { registers } = core;
  const old = registers.lo(StateOffset.efer);
  if (hi !== 0 || lo & ~(EFER_WRITABLE | Efer.lma | Efer.svme)) core.raise(Vector.gp, 0);
  if ((lo ^ old) & Efer.lme && registers.lo(StateOffset.cr0) & Cr0.pg) core.raise(Vector.gp, 0);
  registers.i32[StateOffset.efer >> 2] = (old & ~EFER_WRITABLE) | (lo & EFER_WRITABLE);
  core.modeChanged(true);
}

/** Every byte must be a memory type: UC, WC, WT, WP, WB or UC- (SDM volume 3, 12.12.2). */
function writePat(core: Core, lo: number, hi: number): void {
  for (let shift = 0; shift < 32; shift += 8) {
    for (const half of [lo, hi]) {
      const type = (half >>> shift) & 0xff;
      if (type > 7 || type === 2 || type === 3) core.raise(Vector.gp, 0);
    }
  }
  core.registers.set(StateOffset.pat, lo, hi);
}

msrs.set(Op.Swapgs, (core) => {
  requireRing0(core);
  const { registers } = core;
  const gs = segmentBase(Segment.gs);
  const lo = registers.lo(gs);
  const hi = registers.hi(gs);
  registers.set(gs, registers.lo(StateOffset.kernelGsBase), registers.hi(StateOffset.kernelGsBase));
  registers.set(StateOffset.kernelGsBase, lo, hi);
  return Outcome.Done;
});

for (const [op, segment, write] of [
  [Op.Rdfsbase, Segment.fs, false],
  [Op.Rdgsbase, Segment.gs, false],
  [Op.Wrfsbase, Segment.fs, true],
  [Op.Wrgsbase, Segment.gs, true],
] as const) {
  msrs.set(op, (core, instruction) => {
    const { registers } = core;
    if (!(registers.lo(StateOffset.cr4) & Cr4.fsgsbase)) core.raise(Vector.ud, -1);
    // 4 bytes without REX.W: 66 does not make them 2.
    const { reg, size } = instruction.operands[0];
    if (!write) {
      writeRegister(core, reg, size, registers.lo(segmentBase(segment)), registers.hi(segmentBase(segment)));
      return Outcome.Done;
    }
    const hi = size === 8 ? registers.gprHi(reg) : 0;
    if (!isCanonical(joinHalves(registers.gprLo(reg), hi))) core.raise(Vector.gp, 0);
    registers.setSegmentBase(segment, registers.gprLo(reg), hi);
    return Outcome.Done;
  });
}
