/** Floating-point lanes: the host's arithmetic where it must agree, the exact one of `float` wherever flags, NaNs or rounding could tell. */
import { add, compare, divide, DOUBLE, FloatFlag, multiply, Order, SINGLE, squareRoot } from '../float/index.js';
import type { FloatFormat } from '../float/index.js';
import type { Lanes } from './lanes.js';
import { Mxcsr } from './vector-unit.js';
import type { VectorUnit } from './vector-unit.js';

/** An operation of two lanes; `Sqrt` looks at the second alone. */
export const FloatOp = { Add: 0, Sub: 1, Mul: 2, Div: 3, Sqrt: 4, Min: 5, Max: 6 } as const;
export type FloatOp = (typeof FloatOp)[keyof typeof FloatOp];

/** Nearest, no flushing, the precision flag set already and masked: then an ordinary result changes nothing but its destination. */
const ORDINARY = 0b11 << Mxcsr.roundingShift | Mxcsr.ftz | Mxcsr.daz | FloatFlag.Precision | FloatFlag.Precision << Mxcsr.maskShift;
const ORDINARY_IS = FloatFlag.Precision | FloatFlag.Precision << Mxcsr.maskShift;

const MIN_NORMAL_64 = 2 ** -1022;
const MIN_NORMAL_32 = 2 ** -126;
const MAX_32 = (2 - 2 ** -23) * 2 ** 127;

function native(op: FloatOp, x: number, y: number): number {
  switch (op) {
    case FloatOp.Add:
      return x + y;
    case FloatOp.Sub:
      return x - y;
    case FloatOp.Mul:
      return x * y;
    case FloatOp.Div:
      return x / y;
    case FloatOp.Sqrt:
      return Math.sqrt(y);
    case FloatOp.Min:
      return x < y ? x : y;
    default:
      return x > y ? x : y;
  }
}

/** Normal numbers, zeros allowed. */
function isPlain(x: number, least: number, most: number): boolean {
  const size = Math.abs(x);
  return size === 0 || (size >= least && size <= most);
}

/** What any rule would give on bits. */
function exact(unit: VectorUnit, format: FloatFormat, op: FloatOp, x: bigint, y: bigint): bigint {
  const { env } = unit;
  switch (op) {
    case FloatOp.Add:
      return add(format, env, x, y);
    case FloatOp.Sub:
      return add(format, env, x, y, 'sse', true);
    case FloatOp.Mul:
      return multiply(format, env, x, y);
    case FloatOp.Div:
      return divide(format, env, x, y);
    case FloatOp.Sqrt:
      return squareRoot(format, env, y);
    default: {
      // Of equal numbers, zeros of either sign among them, and wherever a NaN is: the second (SDM volume 2, MINPS).
      const order = compare(format, env, x, y, true);
      const first = order === (op === FloatOp.Min ? Order.Less : Order.Greater);
      return flushed(unit, format, first ? x : y);
    }
  }
}

/** A denormal that DAZ takes as zero comes out of MIN and MAX as zero too. */
function flushed({ env }: VectorUnit, format: FloatFormat, bits: bigint): bigint {
  if (!env.denormalsAreZero) return bits;
  const fraction = BigInt(format.precision - 1);
  const isDenormal = ((bits >> fraction) & BigInt(format.maxExponent)) === 0n;
  return isDenormal ? (bits >> BigInt(format.width - 1)) << BigInt(format.width - 1) : bits;
}

/** a[lane] = a[lane] op b[lane], 4 or 8 bytes wide. `VectorUnit.beginFloat` comes before, `endFloat` behind all lanes. */
export function floatLane(unit: VectorUnit, op: FloatOp, wide: boolean, lane: number): void {
  const { a, b, mxcsr } = unit;
  if ((mxcsr & ORDINARY) === ORDINARY_IS) {
    const x = wide ? a.f64[lane]! : a.f32[lane]!;
    const y = wide ? b.f64[lane]! : b.f32[lane]!;
    const least = wide ? MIN_NORMAL_64 : MIN_NORMAL_32;
    const most = wide ? Number.MAX_VALUE : MAX_32;
    const plain = (op === FloatOp.Sqrt || isPlain(x, least, most)) && isPlain(y, least, most);
    const result = native(op, x, y);
    const zeroIsExact = op <= FloatOp.Sub || op === FloatOp.Mul && (x === 0 || y === 0);
    const size = Math.abs(wide ? result : Math.fround(result));
    if (plain && ((size > least && size <= most) || (size === 0 && zeroIsExact))) {
      if (wide) a.f64[lane] = result;
      else a.f32[lane] = result;
      return;
    }
  }
  if (wide) a.u64[lane] = exact(unit, DOUBLE, op, a.u64[lane]!, b.u64[lane]!);
  else a.u32[lane] = Number(exact(unit, SINGLE, op, BigInt(a.u32[lane]!), BigInt(b.u32[lane]!)));
}

/** Compares lanes exactly. */
export function compareLane(unit: VectorUnit, a: Lanes, b: Lanes, wide: boolean, lane: number, signaling: boolean): number {
  if (wide) return compare(DOUBLE, unit.env, a.u64[lane]!, b.u64[lane]!, signaling);
  return compare(SINGLE, unit.env, BigInt(a.u32[lane]!), BigInt(b.u32[lane]!), signaling);
}
