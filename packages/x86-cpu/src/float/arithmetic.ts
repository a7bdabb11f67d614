/** Arithmetic on the bits of floating-point numbers, exact and rounded once, as SSE and the x87 do it (SDM volume 1, 4.8 and 4.9). */
import { FloatFlag, Rounding } from './format.js';
import type { FloatEnvironment, FloatFormat } from './format.js';
import { bitLength, roundTo } from './round.js';
import { FloatClass, indefiniteOf, infinityOf, isNan, quieted, unpack, zeroOf } from './value.js';
import type { FloatValue } from './value.js';

/** Which NaN of two survives: SSE takes the first operand's, the x87 the one with the larger significand (SDM volume 1, table 4-7). */
export type NanRule = 'sse' | 'x87';

function operand(format: FloatFormat, env: FloatEnvironment, bits: bigint): FloatValue {
  const value = unpack(format, bits);
  if (value.denormal && env.denormalsAreZero) return { ...value, class: FloatClass.Zero, significand: 0n, denormal: false };
  return value;
}

function invalid(format: FloatFormat, env: FloatEnvironment): bigint {
  env.flags |= FloatFlag.Invalid;
  env.roundedUp = false;
  return indefiniteOf(format);
}

/** The NaN that an operation on these operands gives. */
function propagate(format: FloatFormat, env: FloatEnvironment, a: FloatValue, b: FloatValue, rule: NanRule): bigint {
  env.roundedUp = false;
  if (a.class === FloatClass.SignalingNan || b.class === FloatClass.SignalingNan) env.flags |= FloatFlag.Invalid;
  if (!isNan(b)) return quieted(format, a);
  if (!isNan(a)) return quieted(format, b);
  if (rule === 'sse') return quieted(format, a);
  // A signaling one loses against a quiet one.
  if ((a.class === FloatClass.SignalingNan) !== (b.class === FloatClass.SignalingNan)) return quieted(format, a.class === FloatClass.QuietNan ? a : b);
  const quietA = a.significand;
  const quietB = b.significand;
  if (quietA !== quietB) return quieted(format, quietA > quietB ? a : b);
  return quieted(format, a.negative ? b : a);
}

/** NaNs, unsupported operands and the denormal flag, common to all operations; undefined when the arithmetic has to be done. */
function special(format: FloatFormat, env: FloatEnvironment, a: FloatValue, b: FloatValue, rule: NanRule): bigint | undefined {
  if (a.class === FloatClass.Unsupported || b.class === FloatClass.Unsupported) return invalid(format, env);
  if (isNan(a) || isNan(b)) return propagate(format, env, a, b, rule);
  return undefined;
}

function noteDenormals(env: FloatEnvironment, ...values: FloatValue[]): void {
  if (values.some(({ denormal }) => denormal)) env.flags |= FloatFlag.Denormal;
}

/** The sign of an exact zero sum of numbers of both signs. */
const cancelledSign = (env: FloatEnvironment): boolean => env.rounding === Rounding.Down;

export function add(format: FloatFormat, env: FloatEnvironment, x: bigint, y: bigint, rule: NanRule = 'sse', subtract = false, precision = format.precision): bigint {
  const a = operand(format, env, x);
  let b = operand(format, env, y);
  const found = special(format, env, a, b, rule);
  if (found !== undefined) return found;
  if (subtract) b = { ...b, negative: !b.negative };
  env.roundedUp = false;
  if (a.class === FloatClass.Infinity && b.class === FloatClass.Infinity) return a.negative === b.negative ? infinityOf(format, a.negative) : invalid(format, env);
  noteDenormals(env, a, b);
  if (a.class === FloatClass.Infinity) return infinityOf(format, a.negative);
  if (b.class === FloatClass.Infinity) return infinityOf(format, b.negative);
  if (a.class === FloatClass.Zero && b.class === FloatClass.Zero) return zeroOf(format, a.negative === b.negative ? a.negative : cancelledSign(env));
  const exponent = a.class === FloatClass.Zero ? b.exponent : b.class === FloatClass.Zero ? a.exponent : Math.min(a.exponent, b.exponent);
  const signed = ({ negative, significand, exponent: e }: FloatValue): bigint => {
    const aligned = significand === 0n ? 0n : significand << BigInt(e - exponent);
    return negative ? -aligned : aligned;
  };
  const sum = signed(a) + signed(b);
  if (sum === 0n) return zeroOf(format, cancelledSign(env));
  return roundTo(format, env, sum < 0n, sum < 0n ? -sum : sum, exponent, false, precision);
}

export function multiply(format: FloatFormat, env: FloatEnvironment, x: bigint, y: bigint, rule: NanRule = 'sse', precision = format.precision): bigint {
  const a = operand(format, env, x);
  const b = operand(format, env, y);
  const found = special(format, env, a, b, rule);
  if (found !== undefined) return found;
  env.roundedUp = false;
  const negative = a.negative !== b.negative;
  const zero = a.class === FloatClass.Zero || b.class === FloatClass.Zero;
  if (a.class === FloatClass.Infinity || b.class === FloatClass.Infinity) {
    if (zero) return invalid(format, env);
    noteDenormals(env, a, b);
    return infinityOf(format, negative);
  }
  noteDenormals(env, a, b);
  if (zero) return zeroOf(format, negative);
  return roundTo(format, env, negative, a.significand * b.significand, a.exponent + b.exponent, false, precision);
}

export function divide(format: FloatFormat, env: FloatEnvironment, x: bigint, y: bigint, rule: NanRule = 'sse', precision = format.precision): bigint {
  const a = operand(format, env, x);
  const b = operand(format, env, y);
  const found = special(format, env, a, b, rule);
  if (found !== undefined) return found;
  env.roundedUp = false;
  const negative = a.negative !== b.negative;
  if (a.class === b.class && (a.class === FloatClass.Infinity || a.class === FloatClass.Zero)) return invalid(format, env);
  if (b.class === FloatClass.Zero && a.class === FloatClass.Finite) {
    env.flags |= FloatFlag.DivideByZero;
    return infinityOf(format, negative);
  }
  noteDenormals(env, a, b);
  if (a.class === FloatClass.Infinity) return infinityOf(format, negative);
  if (a.class === FloatClass.Zero || b.class === FloatClass.Infinity) return zeroOf(format, negative);
  // As many bits more than the precision that the remainder only says whether the quotient is exact.
  const shift = Math.max(0, format.precision + 3 + bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift);
  const quotient = dividend / b.significand;
  return roundTo(format, env, negative, quotient, a.exponent - b.exponent - shift, quotient * b.significand !== dividend, precision);
}

/** floor(√n), Newton's iteration from above. */
function integerRoot(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export function squareRoot(format: FloatFormat, env: FloatEnvironment, x: bigint, precision = format.precision): bigint {
  const a = operand(format, env, x);
  const found = special(format, env, a, a, 'sse');
  if (found !== undefined) return found;
  env.roundedUp = false;
  if (a.class === FloatClass.Zero) return zeroOf(format, a.negative);
  if (a.negative) return invalid(format, env);
  if (a.class === FloatClass.Infinity) return infinityOf(format, false);
  noteDenormals(env, a);
  let shift = Math.max(0, 2 * (format.precision + 3) - bitLength(a.significand));
  if (((a.exponent - shift) & 1) !== 0) shift++;
  const radicand = a.significand << BigInt(shift);
  const root = integerRoot(radicand);
  return roundTo(format, env, false, root, (a.exponent - shift) / 2, root * root !== radicand, precision);
}

/** What a comparison finds. */
export const Order = { Less: 0, Equal: 1, Greater: 2, Unordered: 3 } as const;

/** Compares; a quiet NaN is invalid too when `signaling`. */
export function compare(format: FloatFormat, env: FloatEnvironment, x: bigint, y: bigint, signaling: boolean): number {
  const a = operand(format, env, x);
  const b = operand(format, env, y);
  if (a.class === FloatClass.Unsupported || b.class === FloatClass.Unsupported) {
    env.flags |= FloatFlag.Invalid;
    return Order.Unordered;
  }
  if (isNan(a) || isNan(b)) {
    if (signaling || a.class === FloatClass.SignalingNan || b.class === FloatClass.SignalingNan) env.flags |= FloatFlag.Invalid;
    return Order.Unordered;
  }
  noteDenormals(env, a, b);
  const difference = rank(a) - rank(b) || magnitude(a, b);
  return difference < 0 ? Order.Less : difference > 0 ? Order.Greater : Order.Equal;
}

/** Negative infinity, negative, zero, positive, positive infinity: −2 to 2. */
function rank(value: FloatValue): number {
  const size = value.class === FloatClass.Zero ? 0 : value.class === FloatClass.Infinity ? 2 : 1;
  return value.negative ? -size : size;
}

/** Of finite numbers of one sign. */
function magnitude(a: FloatValue, b: FloatValue): number {
  if (a.class !== FloatClass.Finite) return 0;
  const exponent = Math.min(a.exponent, b.exponent);
  const left = a.significand << BigInt(a.exponent - exponent);
  const right = b.significand << BigInt(b.exponent - exponent);
  const order = left < right ? -1 : left > right ? 1 : 0;
  return a.negative ? -order : order;
}
