import { Op } from '../decode/op.js';
import { Flag } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';
import { writeRegister } from './operands.js';

/** Decimal adjustment, which 64-bit mode does not have, and SALC (SDM volume 2; APM volume 3). */
export const decimal: SystemInstructions = new Map();

const RAX = 0;

/** SF, ZF and PF of a byte. */
function flagsOf(value: number): number {
  let parity = value & 0xff;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return (value & 0x80 ? Flag.sf : 0) | ((value & 0xff) === 0 ? Flag.zf : 0) | (parity & 1 ? 0 : Flag.pf);
}

const ARITHMETIC = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of;

/** Sets the arithmetic flags to those named; OF, which is undefined, to 0. */
function setFlags(core: Core, flags: number): void {
  core.writeFlags((core.readFlags() & ~ARITHMETIC) | flags);
}

for (const [op, sign] of [
  [Op.Daa, 1],
  [Op.Das, -1],
] as const) {
  decimal.set(op, (core) => {
    const flags = core.readFlags();
    const old = core.registers.gprLo(RAX) & 0xff;
    const low = (old & 15) > 9 || (flags & Flag.af) !== 0;
    const high = old > 0x99 || (flags & Flag.cf) !== 0;
    const value = (old + sign * ((low ? 6 : 0) + (high ? 0x60 : 0))) & 0xff;
    // A borrow of the low digit's adjustment is a carry too.
    const borrowed = sign < 0 && low && old < 6;
    writeRegister(core, RAX, 1, value, 0);
    setFlags(core, flagsOf(value) | (low ? Flag.af : 0) | (high || borrowed ? Flag.cf : 0));
    return Outcome.Done;
  });
}

for (const [op, sign] of [
  [Op.Aaa, 1],
  [Op.Aas, -1],
] as const) {
  decimal.set(op, (core) => {
    const ax = core.registers.gprLo(RAX) & 0xffff;
    const adjust = (ax & 15) > 9 || (core.readFlags() & Flag.af) !== 0;
    const value = (adjust ? ax + sign * 0x106 : ax) & 0xff0f;
    writeRegister(core, RAX, 2, value, 0);
    setFlags(core, flagsOf(value) | (adjust ? Flag.af | Flag.cf : 0));
    return Outcome.Done;
  });
}

decimal.set(Op.Aam, (core, instruction) => {
  const base = instruction.immLo & 0xff;
  if (base === 0) core.raise(Vector.de, -1);
  const al = core.registers.gprLo(RAX) & 0xff;
  writeRegister(core, RAX, 2, (Math.floor(al / base) << 8) | (al % base), 0);
  setFlags(core, flagsOf(al % base));
  return Outcome.Done;
});

decimal.set(Op.Aad, (core, instruction) => {
  const ax = core.registers.gprLo(RAX);
  const al = ((ax & 0xff) + ((ax >> 8) & 0xff) * (instruction.immLo & 0xff)) & 0xff;
  writeRegister(core, RAX, 2, al, 0);
  setFlags(core, flagsOf(al));
  return Outcome.Done;
});

decimal.set(Op.Salc, (core) => {
  writeRegister(core, RAX, 1, core.readFlags() & Flag.cf ? 0xff : 0, 0);
  return Outcome.Done;
});
