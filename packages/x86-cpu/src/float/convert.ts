/** Conversions between floating-point formats and integers (SDM volume 1, 4.8.4.2 and 11.4.1.6). */
import { FloatFlag } from './format.js';
import type { FloatEnvironment, FloatFormat } from './format.js';
import { roundTo, shiftAndRound } from './round.js';
import { FloatClass, fractionBits, indefiniteOf, infinityOf, pack, unpack, zeroOf } from './value.js';

/** The same number in another format. */
export function convert(from: FloatFormat, to: FloatFormat, env: FloatEnvironment, bits: bigint): bigint {
  const value = unpack(from, bits);
  env.roundedUp = false;
  switch (value.class) {
    case FloatClass.Zero:
      return zeroOf(to, value.negative);
    case FloatClass.Infinity:
      return infinityOf(to, value.negative);
    case FloatClass.Unsupported:
      env.flags |= FloatFlag.Invalid;
      return indefiniteOf(to);
    case FloatClass.Finite:
      if (value.denormal) {
        if (env.denormalsAreZero) return zeroOf(to, value.negative);
        env.flags |= FloatFlag.Denormal;
      }
      return roundTo(to, env, value.negative, value.significand, value.exponent);
    default: {
      if (value.class === FloatClass.SignalingNan) env.flags |= FloatFlag.Invalid;
      const distance = fractionBits(to) - fractionBits(from);
      const payload = distance >= 0n ? value.significand << distance : value.significand >> -distance;
      return pack(to, value.negative, to.maxExponent, payload | (1n << (fractionBits(to) - 1n)));
    }
  }
}

/** An integer of `width` bits, two's complement, as an unsigned BigInt; the integer indefinite (invalid) for what does not fit. `rounding` is the mode. */
export function toInteger(from: FloatFormat, env: FloatEnvironment, bits: bigint, width: number, rounding: number): bigint {
  const value = unpack(from, bits);
  const indefinite = 1n << BigInt(width - 1);
  env.roundedUp = false;
  if (value.class === FloatClass.Zero || (value.denormal && env.denormalsAreZero)) return 0n;
  if (value.class === FloatClass.Finite) {
    const { kept, inexact, up } = shiftAndRound(value.significand, -value.exponent, false, rounding, value.negative);
    const limit = value.negative ? indefinite : indefinite - 1n;
    if (kept <= limit) {
      if (inexact) env.flags |= FloatFlag.Precision;
      env.roundedUp = up;
      return BigInt.asUintN(width, value.negative ? -kept : kept);
    }
  }
  env.flags |= FloatFlag.Invalid;
  return indefinite;
}

/** A signed integer in a format. */
export function fromInteger(to: FloatFormat, env: FloatEnvironment, value: bigint): bigint {
  return roundTo(to, env, value < 0n, value < 0n ? -value : value, 0);
}

/** Rounds to an integer, staying in the format; `quiet` leaves the precision exception out. */
export function roundToIntegral(format: FloatFormat, env: FloatEnvironment, bits: bigint, rounding: number, quiet: boolean): bigint {
  const value = unpack(format, bits);
  env.roundedUp = false;
  if (value.class === FloatClass.Unsupported) {
    env.flags |= FloatFlag.Invalid;
    return indefiniteOf(format);
  }
  if (value.class === FloatClass.QuietNan) return bits;
  if (value.class === FloatClass.SignalingNan) {
    env.flags |= FloatFlag.Invalid;
    return bits | (1n << (fractionBits(format) - 1n));
  }
  if (value.class !== FloatClass.Finite) return bits;
  if (value.denormal) {
    if (env.denormalsAreZero) return zeroOf(format, value.negative);
    // ROUNDPS and its kin signal no denormals; FRNDINT does.
    if (!quiet && format.explicitLeading) env.flags |= FloatFlag.Denormal;
  }
  if (value.exponent >= 0) return bits;
  const { kept, inexact, up } = shiftAndRound(value.significand, -value.exponent, false, rounding, value.negative);
  if (inexact && !quiet) env.flags |= FloatFlag.Precision;
  if (kept === 0n) {
    env.roundedUp = false;
    return zeroOf(format, value.negative);
  }
  const exact = { ...env, flags: 0, roundedUp: false };
  const result = roundTo(format, exact, value.negative, kept, 0);
  env.roundedUp = up;
  return result;
}
