import { Rep } from '../decode/instruction.js';
import { Op } from '../decode/op.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { Flag, flagCode, FlagKind } from '../microop/flags.js';
import type { Size } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { highHalf, lowHalf } from '../processor/registers.js';
import { pointer, segmentAddress, writeRegister } from './operands.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** String instructions through segments that have a base or a limit, or with 16-bit addresses: one iteration at a time. */
export const strings: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RSI = 6;
const RDI = 7;

/** What one of them touches; loads are of the source if it uses that, else of the destination. */
const SHAPES = [
  { op: Op.Movs, source: true, destination: true, compares: false },
  { op: Op.Stos, source: false, destination: true, compares: false },
  { op: Op.Lods, source: true, destination: false, compares: false },
  { op: Op.Cmps, source: true, destination: true, compares: true },
  { op: Op.Scas, source: false, destination: true, compares: true },
] as const;

function advance(core: Core, register: number, addressSize: number, step: number): void {
  const next = pointer(core, register, addressSize) + step;
  writeRegister(core, register, addressSize, lowHalf(next), highHalf(next));
}

for (const { op, source, destination, compares } of SHAPES) {
  strings.set(op, (core, instruction) => {
    const { registers, mmu } = core;
    const { addressSize, operandSize: size, rep, segment } = instruction;
    const repeated = rep !== Rep.None;
    const count = pointer(core, RCX, addressSize);
    if (repeated && count === 0) return Outcome.Done;
    let value = registers.gprLo(RAX);
    if (source) {
      core.readSized(segmentAddress(core, segment >= 0 ? segment : Segment.ds, pointer(core, RSI, addressSize), size, false), size, mmu.mode);
      value = core.lo;
    }
    let equal = false;
    if (destination) {
      const at = segmentAddress(core, Segment.es, pointer(core, RDI, addressSize), size, !compares);
      if (compares) {
        core.readSized(at, size, mmu.mode);
        const mask = size === 4 ? -1 : (1 << (8 * size)) - 1;
        registers.set(StateOffset.flagA, value & mask, 0);
        registers.set(StateOffset.flagB, core.lo, 0);
        registers.i32[StateOffset.flagKind >> 2] = flagCode(FlagKind.Sub, size as Size);
        equal = ((value ^ core.lo) & mask) === 0;
      } else core.writeSized(at, size, value, 0, mmu.mode);
    } else writeRegister(core, RAX, size, value, 0);
    const step = registers.systemFlags & Flag.df ? -size : size;
    if (source) advance(core, RSI, addressSize, step);
    if (destination) advance(core, RDI, addressSize, step);
    if (!repeated) return Outcome.Done;
    advance(core, RCX, addressSize, -1);
    const more = count > 1 && (!compares || equal === (rep === Rep.F3));
    return more ? Outcome.Again : Outcome.Done;
  });
}
