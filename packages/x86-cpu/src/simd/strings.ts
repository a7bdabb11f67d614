/** PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM volume 2, 4.1, "Imm8 control byte operation"). */
import { simdOp } from '../decode/simd-op.js';
import { Flag } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { Outcome } from '../system/outcome.js';
import type { SystemInstructions } from '../system/outcome.js';
import type { Lanes } from './lanes.js';

export const stringInstructions: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;

/** Lane views by imm8[1:0]. */
const VIEWS = ['u8', 'u16', 'i8', 'i16'] as const;

/** An explicit length: |value|, at most the lanes there are. */
function explicitLength(core: Core, register: number, wide: boolean, lanes: number): number {
  const { registers } = core;
  const value = wide ? registers.number(8 * register) : registers.gprLo(register);
  return Math.min(Math.abs(value), lanes);
}

function implicitLength(view: ArrayLike<number>, lanes: number): number {
  for (let i = 0; i < lanes; i++) if (view[i] === 0) return i;
  return lanes;
}

/** The intermediate result as bits: one a lane of the second string. */
function aggregate(imm: number, a: ArrayLike<number>, b: ArrayLike<number>, lengthA: number, lengthB: number, lanes: number): number {
  let result = 0;
  const mode = (imm >> 2) & 3;
  for (let j = 0; j < lanes; j++) {
    let bit = false;
    switch (mode) {
      case 0:
        for (let i = 0; i < lengthA && j < lengthB; i++) bit ||= a[i] === b[j];
        break;
      case 1:
        for (let i = 0; i + 1 < lengthA && j < lengthB; i += 2) bit ||= a[i]! <= b[j]! && b[j]! <= a[i + 1]!;
        break;
      case 2:
        bit = j < lengthA && j < lengthB ? a[j] === b[j] : j >= lengthA && j >= lengthB;
        break;
      default:
        bit = true;
        // Past the end of the second string only what is past the end of the first matches; past the register's end nothing is compared.
        for (let i = 0; i < lanes - j && i < lengthA; i++) bit &&= j + i < lengthB && a[i] === b[j + i];
    }
    if (bit) result |= 1 << j;
  }
  return result;
}

for (const [mnemonic, explicit, index] of [['pcmpestri', true, true], ['pcmpestrm', true, false], ['pcmpistri', false, true], ['pcmpistrm', false, false]] as const) {
  stringInstructions.set(simdOp(mnemonic), (core, instruction) => {
    const unit = core.vector;
    unit.requireSse();
    const [first, second] = instruction.operands;
    unit.read(instruction, second, unit.b, false);
    unit.read(instruction, first, unit.a);
    const imm = instruction.immLo;
    const view = VIEWS[imm & 3]!;
    const lanes = imm & 1 ? 8 : 16;
    const wide = instruction.operandSize === 8;
    const lengthA = explicit ? explicitLength(core, RAX, wide, lanes) : implicitLength(unit.a[view], lanes);
    const lengthB = explicit ? explicitLength(core, RDX, wide, lanes) : implicitLength(unit.b[view], lanes);
    let result = aggregate(imm, unit.a[view], unit.b[view], lengthA, lengthB, lanes);
    const all = imm & 1 ? 0xff : 0xffff;
    // Polarity: all bits, or those of lanes inside the second string.
    if ((imm & 0x30) === 0x10) result ^= all;
    else if ((imm & 0x30) === 0x30) result ^= (1 << lengthB) - 1;
    result &= all;
    if (index) {
      const found = result === 0 ? lanes : imm & 0x40 ? 31 - Math.clz32(result) : 31 - Math.clz32(result & -result);
      core.registers.setGpr(RCX, found, 0);
    } else {
      maskInto(unit.xmm[0]!, result, imm, lanes);
    }
    const flags = (result !== 0 ? Flag.cf : 0) | (lengthB < lanes ? Flag.zf : 0) | (lengthA < lanes ? Flag.sf : 0) | (result & 1 ? Flag.of : 0);
    core.writeFlags((core.readFlags() & ~(Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of)) | flags);
    return Outcome.Done;
  });
}

/** XMM0: the bits, or a mask of lanes. */
function maskInto(xmm0: Lanes, result: number, imm: number, lanes: number): void {
  xmm0.i32.fill(0);
  if (!(imm & 0x40)) {
    xmm0.i32[0] = result;
    return;
  }
  const width = 16 / lanes;
  for (let i = 0; i < 16; i++) xmm0.u8[i] = (result >> Math.floor(i / width)) & 1 ? 0xff : 0;
}
