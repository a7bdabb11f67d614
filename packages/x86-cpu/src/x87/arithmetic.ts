/** What the x87 computes (SDM volume 1, chapter 8; volume 2). Results are exact but for the transcendental functions, which have a double's accuracy. */
import { add, compare, convert, divide, DOUBLE, EXTENDED, FloatClass, FloatFlag, indefiniteOf, infinityOf, isNan, multiply, Order, pack, quieted, Rounding, roundToIntegral, squareRoot, unpack, zeroOf } from '../float/index.js';
import type { FloatEnvironment } from '../float/index.js';
import { roundTo } from '../float/round.js';
import type { FloatValue } from '../float/value.js';
import { Status } from './unit.js';
import type { X87Unit } from './unit.js';

/** The eight operations of an arithmetic group, by ModRM.reg. */
export const Group = { Add: 0, Mul: 1, Com: 2, Comp: 3, Sub: 4, Subr: 5, Div: 6, Divr: 7 } as const;

export function operate(unit: X87Unit, group: number, x: bigint, y: bigint): bigint {
  const { env, precision } = unit;
  switch (group) {
    case Group.Add:
      return add(EXTENDED, env, x, y, 'x87', false, precision);
    case Group.Mul:
      return multiply(EXTENDED, env, x, y, 'x87', precision);
    case Group.Sub:
      return add(EXTENDED, env, x, y, 'x87', true, precision);
    case Group.Subr:
      return add(EXTENDED, env, y, x, 'x87', true, precision);
    case Group.Div:
      return divide(EXTENDED, env, x, y, 'x87', precision);
    default:
      return divide(EXTENDED, env, y, x, 'x87', precision);
  }
}

export const root = (unit: X87Unit, x: bigint): bigint => squareRoot(EXTENDED, unit.env, x, unit.precision);

/** Condition codes of a comparison. */
const CONDITIONS = { [Order.Less]: Status.c0, [Order.Equal]: Status.c3, [Order.Greater]: 0, [Order.Unordered]: Status.c0 | Status.c2 | Status.c3 } as const;

export const conditionsOf = (order: number): number => CONDITIONS[order as keyof typeof CONDITIONS];

export const compareExtended = (env: FloatEnvironment, x: bigint, y: bigint, signaling: boolean): number => compare(EXTENDED, env, x, y, signaling);

/** FXAM: what ST(0) holds (SDM volume 2, table 3-41). */
export function examine(unit: X87Unit): number {
  const value = unpack(EXTENDED, unit.bits(0));
  const sign = value.negative ? Status.c1 : 0;
  if (unit.isEmpty(0)) return sign | Status.c3 | Status.c0;
  switch (value.class) {
    case FloatClass.Zero:
      return sign | Status.c3;
    case FloatClass.Finite:
      return sign | (value.denormal ? Status.c3 | Status.c2 : Status.c2);
    case FloatClass.Infinity:
      return sign | Status.c2 | Status.c0;
    case FloatClass.Unsupported:
      return sign;
    default:
      return sign | Status.c0;
  }
}

/** 64-bit significand and exponent of the constants, cut off: rounding up adds one (FLD1 … FLDZ by ModRM.rm; SDM volume 2, FLD1). */
const CONSTANTS: readonly { readonly bits: bigint; readonly roundsUpIn: readonly number[] }[] = [
  { bits: 0x3fff8000000000000000n, roundsUpIn: [] },
  { bits: 0x4000d49a784bcd1b8afen, roundsUpIn: [Rounding.Up] },
  { bits: 0x3fffb8aa3b295c17f0bbn, roundsUpIn: [Rounding.Up, Rounding.Nearest] },
  { bits: 0x4000c90fdaa22168c234n, roundsUpIn: [Rounding.Up, Rounding.Nearest] },
  { bits: 0x3ffd9a209a84fbcff798n, roundsUpIn: [Rounding.Up, Rounding.Nearest] },
  { bits: 0x3ffeb17217f7d1cf79abn, roundsUpIn: [Rounding.Up, Rounding.Nearest] },
  { bits: 0n, roundsUpIn: [] },
];

export function constant(index: number, rounding: number): bigint {
  const { bits, roundsUpIn } = CONSTANTS[index]!;
  return roundsUpIn.includes(rounding) ? bits + 1n : bits;
}

const NEGATIVE = 1n << 79n;
export const negated = (bits: bigint): bigint => bits ^ NEGATIVE;
export const magnitude = (bits: bigint): bigint => bits & ~NEGATIVE;

function invalid(env: FloatEnvironment): bigint {
  env.flags |= FloatFlag.Invalid;
  return indefiniteOf(EXTENDED);
}

/** The NaN of an operation on one operand, or undefined. */
function nanOf(env: FloatEnvironment, value: FloatValue): bigint | undefined {
  if (value.class === FloatClass.Unsupported) return invalid(env);
  if (!isNan(value)) return undefined;
  if (value.class === FloatClass.SignalingNan) env.flags |= FloatFlag.Invalid;
  return quieted(EXTENDED, value);
}

/** FXTRACT: exponent and significand. */
export function extract(env: FloatEnvironment, bits: bigint): { exponent: bigint; significand: bigint } {
  const value = unpack(EXTENDED, bits);
  const nan = nanOf(env, value);
  if (nan !== undefined) return { exponent: nan, significand: nan };
  if (value.class === FloatClass.Infinity) return { exponent: infinityOf(EXTENDED, false), significand: bits };
  if (value.class === FloatClass.Zero) {
    env.flags |= FloatFlag.DivideByZero;
    return { exponent: infinityOf(EXTENDED, true), significand: bits };
  }
  if (value.denormal) env.flags |= FloatFlag.Denormal;
  const length = value.significand.toString(2).length;
  const exponent = value.exponent + length - 1;
  return {
    exponent: roundTo(EXTENDED, env, exponent < 0, BigInt(Math.abs(exponent)), 0),
    significand: roundTo(EXTENDED, env, value.negative, value.significand, 1 - length),
  };
}

/** FSCALE: x times two to the integral part of y. */
export function scale(env: FloatEnvironment, x: bigint, y: bigint): bigint {
  const a = unpack(EXTENDED, x);
  const b = unpack(EXTENDED, y);
  if (a.class === FloatClass.Unsupported || b.class === FloatClass.Unsupported) return invalid(env);
  if (isNan(a) || isNan(b)) return add(EXTENDED, env, x, y, 'x87');
  if (a.denormal || b.denormal) env.flags |= FloatFlag.Denormal;
  if (b.class === FloatClass.Infinity) {
    if (b.negative) return a.class === FloatClass.Infinity ? invalid(env) : zeroOf(EXTENDED, a.negative);
    return a.class === FloatClass.Zero ? invalid(env) : infinityOf(EXTENDED, a.negative);
  }
  if (a.class !== FloatClass.Finite || b.class === FloatClass.Zero) return x;
  const whole = b.exponent >= 0 ? b.significand << BigInt(Math.min(b.exponent, 32)) : b.significand >> BigInt(-b.exponent);
  const distance = Number(whole > 0x10000n ? 0x10000n : whole);
  return roundTo(EXTENDED, env, a.negative, a.significand, a.exponent + (b.negative ? -distance : distance));
}

/** Result and condition codes; these are undefined where no quotient was made. */
export interface Remainder {
  readonly result: bigint;
  readonly conditions: number | undefined;
}

/**
 * FPREM (truncating) and FPREM1 (to nearest): exact. A quotient of more than 63 bits is taken down in steps (C2 set); else its low three bits go to C0, C3
 * and C1 (SDM volume 2, FPREM).
 */
export function remainder(env: FloatEnvironment, x: bigint, y: bigint, nearest: boolean): Remainder {
  const a = unpack(EXTENDED, x);
  const b = unpack(EXTENDED, y);
  const plain = (result: bigint): Remainder => ({ result, conditions: undefined });
  if (a.class === FloatClass.Unsupported || b.class === FloatClass.Unsupported) return plain(invalid(env));
  if (isNan(a) || isNan(b)) return plain(add(EXTENDED, env, x, y, 'x87'));
  if (a.class === FloatClass.Infinity || b.class === FloatClass.Zero) return plain(invalid(env));
  if (a.denormal || b.denormal) env.flags |= FloatFlag.Denormal;
  if (a.class === FloatClass.Zero || b.class === FloatClass.Infinity) return { result: x, conditions: 0 };
  const top = (value: FloatValue): number => value.exponent + value.significand.toString(2).length;
  const distance = top(a) - top(b);
  const exponent = Math.min(a.exponent, b.exponent);
  const dividend = a.significand << BigInt(a.exponent - exponent);
  const divisor = b.significand << BigInt(b.exponent - exponent);
  if (distance >= 64) {
    // As many bits of the quotient as make the rest of the distance a multiple of 32, and at least 32.
    const step = BigInt(distance - (32 + (distance % 32)));
    const partial = dividend - ((dividend >> step) / divisor) * (divisor << step);
    return { result: roundTo(EXTENDED, env, a.negative, partial, exponent), conditions: Status.c2 };
  }
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let { negative } = a;
  if (nearest && (2n * rest > divisor || (2n * rest === divisor && quotient & 1n))) {
    quotient += 1n;
    rest = divisor - rest;
    negative = !negative;
  }
  const low = Number(quotient & 7n);
  const conditions = (low & 4 ? Status.c0 : 0) | (low & 2 ? Status.c3 : 0) | (low & 1 ? Status.c1 : 0);
  return { result: rest === 0n ? zeroOf(EXTENDED, a.negative) : roundTo(EXTENDED, env, negative, rest, exponent), conditions };
}

export const roundInteger = (env: FloatEnvironment, x: bigint): bigint => roundToIntegral(EXTENDED, env, x, env.rounding, false);

const scratch = new DataView(new ArrayBuffer(8));

/** The nearest double of an extended number, and back: what the transcendental functions work with. */
function toDouble(bits: bigint): number {
  const quiet = { rounding: Rounding.Nearest, masked: 0x3f, denormalsAreZero: false, flushToZero: false, flags: 0, roundedUp: false };
  scratch.setBigUint64(0, convert(EXTENDED, DOUBLE, quiet, bits));
  return scratch.getFloat64(0);
}

function fromDouble(value: number): bigint {
  const quiet = { rounding: Rounding.Nearest, masked: 0x3f, denormalsAreZero: false, flushToZero: false, flags: 0, roundedUp: false };
  scratch.setFloat64(0, value);
  return convert(DOUBLE, EXTENDED, quiet, scratch.getBigUint64(0));
}

/** A function of one operand with a double's accuracy: always inexact, unless its operand or result is special. */
export function approximate(env: FloatEnvironment, x: bigint, f: (x: number) => number): bigint {
  const value = unpack(EXTENDED, x);
  const nan = nanOf(env, value);
  if (nan !== undefined) return nan;
  if (value.denormal) env.flags |= FloatFlag.Denormal;
  if (value.class === FloatClass.Zero && f(0) === 0) return x;
  const result = f(toDouble(x));
  if (Number.isNaN(result)) return invalid(env);
  if (value.class === FloatClass.Finite && Number.isFinite(result)) env.flags |= FloatFlag.Precision;
  // Too small for a double: an extended number of that size is its own sine, and half of that is lost here.
  if (result === 0 && value.class === FloatClass.Finite && f === Math.sin) return x;
  return fromDouble(result);
}

/** A function of two operands. */
export function approximate2(env: FloatEnvironment, x: bigint, y: bigint, f: (x: number, y: number) => number): bigint {
  const a = unpack(EXTENDED, x);
  const b = unpack(EXTENDED, y);
  if (a.class === FloatClass.Unsupported || b.class === FloatClass.Unsupported) return invalid(env);
  if (isNan(a) || isNan(b)) return add(EXTENDED, env, x, y, 'x87');
  if (a.denormal || b.denormal) env.flags |= FloatFlag.Denormal;
  const result = f(toDouble(x), toDouble(y));
  if (Number.isNaN(result)) return invalid(env);
  if (Number.isFinite(result) && result !== 0) env.flags |= FloatFlag.Precision;
  return fromDouble(result);
}

/** Whether a trigonometric function takes its operand: below 2^63 in magnitude (else C2). */
export function isInRange(x: bigint): boolean {
  const value = unpack(EXTENDED, x);
  return value.class !== FloatClass.Finite || value.exponent + value.significand.toString(2).length <= 63;
}

/** 1.0. */
export const ONE = pack(EXTENDED, false, EXTENDED.bias, 0n);
