import { ExitKind } from '../contract.js';
import { OperandKind, Rep } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { IMPLICIT } from '../processor/core.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { highHalf, joinHalves, lowHalf } from '../processor/registers.js';
import { pointer, segmentAddress, writeRegister } from './operands.js';
import { intercept, Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** IN, OUT, INS and OUTS. Without an intercept nothing is attached: IN reads all ones, OUT goes nowhere. */
export const portIo: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;

/** Offset of the I/O map's own offset in the TSS (SDM volume 3, figure 8-11). */
const TSS_IO_MAP = 102;

/** Above IOPL, the TSS's I/O permission bitmap decides (SDM volume 1, 19.5.2). */
function requirePort(core: Core, port: number, size: number): void {
  const { registers } = core;
  if (registers.hasIoPrivilege) return;
  const tss = registers.base(Segment.tr);
  const limit = registers.limit(Segment.tr);
  if (TSS_IO_MAP + 1 > limit) core.raise(Vector.gp, 0);
  const at = core.read16(tss + TSS_IO_MAP, IMPLICIT) + (port >> 3);
  if (at + 1 > limit) core.raise(Vector.gp, 0);
  const mask = ((1 << size) - 1) << (port & 7);
  if (core.read16(tss + at, IMPLICIT) & mask) core.raise(Vector.gp, 0);
}

function interceptPort(core: Core, instruction: Instruction, port: number, size: number, isIn: boolean, isString: boolean): Outcome {
  const { exit } = core;
  exit.port = port;
  exit.size = size;
  exit.isIn = isIn ? 1 : 0;
  exit.isString = isString ? 1 : 0;
  exit.isRep = isString && instruction.rep !== Rep.None ? 1 : 0;
  exit.addressSize = instruction.addressSize;
  return intercept(core, ExitKind.Io);
}

for (const op of [Op.In, Op.Out] as const) {
  portIo.set(op, (core, instruction) => {
    const [first, second] = instruction.operands;
    const [place, register] = op === Op.In ? [second, first] : [first, second];
    const port = place.kind === OperandKind.Imm ? instruction.immLo & 0xff : core.registers.gprLo(RDX) & 0xffff;
    requirePort(core, port, register.size);
    if (core.intercepts.io) return interceptPort(core, instruction, port, register.size, op === Op.In, false);
    core.debug.notePort(port, register.size);
    if (op === Op.In) writeRegister(core, RAX, register.size, -1, -1);
    return Outcome.Done;
  });
}

for (const op of [Op.Ins, Op.Outs] as const) {
  portIo.set(op, (core, instruction) => {
    const { registers } = core;
    const { operandSize, addressSize, rep, segment } = instruction;
    const size = Math.min(operandSize, 4);
    const port = registers.gprLo(RDX) & 0xffff;
    requirePort(core, port, size);
    const repeated = rep !== Rep.None;
    const count = pointer(core, RCX, addressSize);
    if (repeated && count === 0) return Outcome.Done;
    const register = op === Op.Ins ? RDI : RSI;
    const offset = pointer(core, register, addressSize);
    const at = segmentAddress(core, op === Op.Ins ? Segment.es : segment >= 0 ? segment : Segment.ds, offset, size, op === Op.Ins);
    if (core.intercepts.io) {
      core.exit.gvaLo = lowHalf(at);
      core.exit.gvaHi = highHalf(at);
      return interceptPort(core, instruction, port, size, op === Op.Ins, true);
    }
    core.debug.notePort(port, size);
    if (op === Op.Ins) core.writeSized(at, size, -1, -1, core.mmu.mode);
    else core.readSized(at, size, core.mmu.mode);
    const next = offset + (registers.systemFlags & Flag.df ? -size : size);
    writeRegister(core, register, addressSize, lowHalf(next), highHalf(next));
    if (!repeated) return Outcome.Done;
    writeRegister(core, RCX, addressSize, lowHalf(count - 1), highHalf(count - 1));
    return joinHalves(lowHalf(count - 1), highHalf(count - 1)) === 0 ? Outcome.Done : Outcome.Again;
  });
}
