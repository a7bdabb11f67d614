/** Floating-point instructions of SSE to SSE4.1 (SDM volume 2). */
import { OperandKind } from '../decode/instruction.js';
import type { Instruction } from '../decode/instruction.js';
import { simdOp } from '../decode/simd-op.js';
import type { SimdMnemonic } from '../decode/simd-op.js';
import { convert, DOUBLE, fromInteger, Order, Rounding, roundToIntegral, SINGLE, toInteger } from '../float/index.js';
import { Flag } from '../microop/flags.js';
import type { Core } from '../processor/core.js';
import { Outcome } from '../system/outcome.js';
import type { SystemInstructions } from '../system/outcome.js';
import { compareLane, FloatOp, floatLane } from './float-lanes.js';
import type { VectorUnit } from './vector-unit.js';

export const floatInstructions: SystemInstructions = new Map();

type Work = (unit: VectorUnit, instruction: Instruction, core: Core) => void;

/** `destination` says whether its old value is needed; `keep` bytes of it stay when the destination is an XMM register. */
function define(mnemonic: SimdMnemonic, work: Work): void {
  floatInstructions.set(simdOp(mnemonic), (core, instruction) => {
    const unit = core.vector;
    const [destination, source] = instruction.operands;
    unit.require(instruction);
    unit.read(instruction, source, unit.b);
    if (destination.kind === OperandKind.Xmm || destination.kind === OperandKind.Mmx) unit.read(instruction, destination, unit.a);
    else unit.a.i32.fill(0);
    unit.beginFloat();
    work(unit, instruction, core);
    unit.endFloat();
    const mmx = destination.kind === OperandKind.Mmx || source.kind === OperandKind.Mmx;
    if (mmx) unit.enterMmx();
    if (!COMPARE_ONLY.has(mnemonic)) unit.write(instruction, destination, unit.a);
    return Outcome.Done;
  });
}

const COMPARE_ONLY: ReadonlySet<SimdMnemonic> = new Set(['comiss', 'comisd', 'ucomiss', 'ucomisd']);

const FORMS = [
  ['ps', false, 4],
  ['pd', true, 2],
  ['ss', false, 1],
  ['sd', true, 1],
] as const;

for (const [name, op] of [['add', FloatOp.Add], ['sub', FloatOp.Sub], ['mul', FloatOp.Mul], ['div', FloatOp.Div], ['sqrt', FloatOp.Sqrt], ['min', FloatOp.Min], ['max', FloatOp.Max]] as const) {
  for (const [suffix, wide, count] of FORMS) {
    define(`${name}${suffix}`, (unit) => {
      for (let lane = 0; lane < count; lane++) floatLane(unit, op, wide, lane);
    });
  }
}

/** Predicates 0 to 7 of CMPPS: which orders are true, and whether a quiet NaN is invalid. */
const PREDICATES: readonly { readonly orders: readonly number[]; readonly signaling: boolean }[] = [
  { orders: [Order.Equal], signaling: false },
  { orders: [Order.Less], signaling: true },
  { orders: [Order.Less, Order.Equal], signaling: true },
  { orders: [Order.Unordered], signaling: false },
  { orders: [Order.Less, Order.Greater, Order.Unordered], signaling: false },
  { orders: [Order.Equal, Order.Greater, Order.Unordered], signaling: true },
  { orders: [Order.Greater, Order.Unordered], signaling: true },
  { orders: [Order.Less, Order.Equal, Order.Greater], signaling: false },
];

for (const [suffix, wide, count] of FORMS) {
  define(`cmp${suffix}`, (unit, { immLo }) => {
    const { a, b } = unit;
    const { orders, signaling } = PREDICATES[immLo & 7]!;
    for (let lane = 0; lane < count; lane++) {
      const mask = orders.includes(compareLane(unit, a, b, wide, lane, signaling)) ? -1 : 0;
      if (wide) a.i64[lane] = BigInt(mask);
      else a.i32[lane] = mask;
    }
  });
}

for (const [mnemonic, wide, signaling] of [['comiss', false, true], ['comisd', true, true], ['ucomiss', false, false], ['ucomisd', true, false]] as const) {
  define(mnemonic, (unit, _, core) => {
    const order = compareLane(unit, unit.a, unit.b, wide, 0, signaling);
    unit.endFloat();
    const flags = { [Order.Less]: Flag.cf, [Order.Equal]: Flag.zf, [Order.Greater]: 0, [Order.Unordered]: Flag.cf | Flag.zf | Flag.pf }[order]!;
    core.writeFlags((core.readFlags() & ~(Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of)) | flags);
  });
}

// Horizontal and alternating: every lane is an ordinary operation on lanes moved into place.
for (const [suffix, wide, count] of [['ps', false, 4], ['pd', true, 2]] as const) {
  define(`addsub${suffix}`, (unit) => {
    for (let lane = 0; lane < count; lane++) floatLane(unit, lane % 2 === 0 ? FloatOp.Sub : FloatOp.Add, wide, lane);
  });
  for (const [name, op] of [['hadd', FloatOp.Add], ['hsub', FloatOp.Sub]] as const) {
    define(`${name}${suffix}`, (unit) => {
      const { a, b } = unit;
      if (wide) {
        const lanes = [a.u64[0]!, a.u64[1]!, b.u64[0]!, b.u64[1]!];
        a.u64.set([lanes[0]!, lanes[2]!]);
        b.u64.set([lanes[1]!, lanes[3]!]);
      } else {
        const lanes = [...a.u32, ...b.u32];
        a.u32.set([lanes[0]!, lanes[2]!, lanes[4]!, lanes[6]!]);
        b.u32.set([lanes[1]!, lanes[3]!, lanes[5]!, lanes[7]!]);
      }
      for (let lane = 0; lane < count; lane++) floatLane(unit, op, wide, lane);
    });
  }
  /** Products of the lanes chosen by bits 7:4, their sum to the lanes chosen by bits 3:0; flags of every step. */
  define(`dp${suffix}`, (unit, { immLo }) => {
    const { a, b } = unit;
    for (let lane = 0; lane < count; lane++) {
      if ((immLo >> (4 + lane)) & 1) floatLane(unit, FloatOp.Mul, wide, lane);
      else if (wide) a.u64[lane] = 0n;
      else a.u32[lane] = 0;
    }
    unit.endFloat();
    if (wide) {
      b.u64[0] = a.u64[1]!;
      floatLane(unit, FloatOp.Add, true, 0);
    } else {
      b.u32.set([a.u32[1]!, 0, a.u32[3]!, 0]);
      floatLane(unit, FloatOp.Add, false, 0);
      floatLane(unit, FloatOp.Add, false, 2);
      unit.endFloat();
      b.u32[0] = a.u32[2]!;
      floatLane(unit, FloatOp.Add, false, 0);
    }
    for (let lane = count - 1; lane >= 0; lane--) {
      const on = (immLo >> lane) & 1;
      if (wide) a.u64[lane] = on ? a.u64[0]! : 0n;
      else a.u32[lane] = on ? a.u32[0]! : 0;
    }
  });
}

for (const [suffix, wide, count] of FORMS) {
  define(`round${suffix}`, (unit, { immLo }) => {
    const { a, b, env } = unit;
    const mode = immLo & 4 ? env.rounding : immLo & 3;
    const quiet = (immLo & 8) !== 0;
    for (let lane = 0; lane < count; lane++) {
      if (wide) a.u64[lane] = roundToIntegral(DOUBLE, env, b.u64[lane]!, mode, quiet);
      else a.u32[lane] = Number(roundToIntegral(SINGLE, env, BigInt(b.u32[lane]!), mode, quiet));
    }
  });
}

// Approximations: relative error below 1.5 × 2^-12 as both vendors promise; the bits are this model's own, the exact value cut to 12 bits.
for (const [name, f] of [['rcp', (x: number) => 1 / x], ['rsqrt', (x: number) => 1 / Math.sqrt(x)]] as const) {
  for (const [suffix, count] of [['ps', 4], ['ss', 1]] as const) {
    define(`${name}${suffix}`, ({ a, b }) => {
      for (let lane = 0; lane < count; lane++) {
        const bits = b.u32[lane]!;
        // Denormals count as zeros of their sign; a NaN stays, made quiet; the root of a negative number is the indefinite.
        const isNan = (bits & 0x7fffffff) > 0x7f800000;
        const flat = (bits & 0x7f800000) === 0 ? bits & 0x80000000 : bits;
        a.u32[lane] = flat;
        const x = a.f32[lane]!;
        if (isNan) a.u32[lane] = bits | 0x400000;
        else if (name === 'rsqrt' && x < 0) a.u32[lane] = 0xffc00000;
        else if (x === 0) a.u32[lane] = (flat & 0x80000000) | 0x7f800000;
        else {
          a.f32[lane] = f(x);
          const tiny = (a.u32[lane]! & 0x7f800000) === 0;
          a.u32[lane]! &= tiny ? 0x80000000 : 0xfffff000;
        }
      }
    });
  }
}

const single = (bits: bigint): number => Number(bits);

for (const [mnemonic, from, to, count] of [
  ['cvtps2pd', SINGLE, DOUBLE, 2], ['cvtss2sd', SINGLE, DOUBLE, 1], ['cvtpd2ps', DOUBLE, SINGLE, 2], ['cvtsd2ss', DOUBLE, SINGLE, 1],
] as const) {
  define(mnemonic, ({ a, b, env }) => {
    for (let lane = 0; lane < count; lane++) {
      if (to === DOUBLE) a.u64[lane] = convert(from, to, env, BigInt(b.u32[lane]!));
      else a.u32[lane] = single(convert(from, to, env, b.u64[lane]!));
    }
    if (mnemonic === 'cvtpd2ps') a.u64[1] = 0n;
  });
}

// Integers to floating point. Sources of 32 bits fit a double exactly.
for (const mnemonic of ['cvtdq2ps', 'cvtdq2pd', 'cvtpi2ps', 'cvtpi2pd'] as const) {
  const wide = mnemonic.endsWith('pd');
  const count = mnemonic === 'cvtdq2ps' ? 4 : 2;
  define(mnemonic, ({ a, b, env }) => {
    for (let lane = 0; lane < count; lane++) {
      if (wide) a.f64[lane] = b.i32[lane]!;
      else a.u32[lane] = single(fromInteger(SINGLE, env, BigInt(b.i32[lane]!)));
    }
  });
}
for (const [mnemonic, format] of [['cvtsi2ss', SINGLE], ['cvtsi2sd', DOUBLE]] as const) {
  define(mnemonic, ({ a, b, env }, { operands }) => {
    const value = operands[1].size === 8 ? b.i64[0]! : BigInt(b.i32[0]!);
    const bits = fromInteger(format, env, value);
    if (format === DOUBLE) a.u64[0] = bits;
    else a.u32[0] = single(bits);
  });
}

// Floating point to integers: CVTT cuts, CVT rounds by MXCSR.
for (const [mnemonic, format, count] of [
  ['cvtps2dq', SINGLE, 4], ['cvttps2dq', SINGLE, 4], ['cvtpd2dq', DOUBLE, 2], ['cvttpd2dq', DOUBLE, 2],
  ['cvtps2pi', SINGLE, 2], ['cvttps2pi', SINGLE, 2], ['cvtpd2pi', DOUBLE, 2], ['cvttpd2pi', DOUBLE, 2],
] as const) {
  define(mnemonic, ({ a, b, env }) => {
    const mode = mnemonic.startsWith('cvtt') ? Rounding.Zero : env.rounding;
    for (let lane = 0; lane < count; lane++) {
      a.u32[lane] = Number(toInteger(format, env, format === DOUBLE ? b.u64[lane]! : BigInt(b.u32[lane]!), 32, mode));
    }
    if (count === 2) a.u64[1] = 0n;
  });
}
for (const [mnemonic, format] of [['cvtss2si', SINGLE], ['cvttss2si', SINGLE], ['cvtsd2si', DOUBLE], ['cvttsd2si', DOUBLE]] as const) {
  define(mnemonic, ({ a, b, env }, { operands }) => {
    const mode = mnemonic.startsWith('cvtt') ? Rounding.Zero : env.rounding;
    a.u64[0] = toInteger(format, env, format === DOUBLE ? b.u64[0]! : BigInt(b.u32[0]!), 8 * operands[0].size, mode);
  });
}
