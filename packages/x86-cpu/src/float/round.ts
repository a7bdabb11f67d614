import { FloatFlag, Rounding } from './format.js';
import type { FloatEnvironment, FloatFormat } from './format.js';
import { fractionBits, infinityOf, pack, zeroOf } from './value.js';

/** Number of bits of a positive integer. */
export function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return 4 * hex.length - (Math.clz32(Number.parseInt(hex[0]!, 16)) - 28);
}

/** Whether a value cut off after `kept` goes up in magnitude; `half` compares the rest with half a unit: −1, 0, 1. */
function roundsUp(mode: number, negative: boolean, odd: boolean, half: number): boolean {
  switch (mode) {
    case Rounding.Nearest:
      return half > 0 || (half === 0 && odd);
    case Rounding.Down:
      return negative;
    case Rounding.Up:
      return !negative;
    default:
      return false;
  }
}

/** A significand shifted right by `shift` bits and rounded; `rest` says that something non-zero lies below the given one. */
export function shiftAndRound(significand: bigint, shift: number, rest: boolean, mode: number, negative: boolean): { kept: bigint; inexact: boolean; up: boolean } {
  if (shift <= 0) {
    const kept = significand << BigInt(-shift);
    if (!rest) return { kept, inexact: false, up: false };
    const up = roundsUp(mode, negative, (kept & 1n) === 1n, -1);
    return { kept: up ? kept + 1n : kept, inexact: true, up };
  }
  const kept = significand >> BigInt(shift);
  const cut = significand - (kept << BigInt(shift));
  if (cut === 0n && !rest) return { kept, inexact: false, up: false };
  const middle = 1n << BigInt(shift - 1);
  const half = cut > middle || (cut === middle && rest) ? 1 : cut === middle ? 0 : -1;
  const up = roundsUp(mode, negative, (kept & 1n) === 1n, half);
  return { kept: up ? kept + 1n : kept, inexact: true, up };
}

/**
 * The bits of (−1)^negative × significand × 2^exponent in `format`, its significand rounded to `precision` bits. `rest`: the exact value is a little
 * larger in magnitude; then the significand must have at least two bits more than the precision. Sets flags. Tininess is found after rounding (SDM volume 1, 4.9.1.5).
 */
export function roundTo(format: FloatFormat, env: FloatEnvironment, negative: boolean, significand: bigint, exponent: number, rest = false, precision = format.precision): bigint {
  const { bias, maxExponent } = format;
  env.roundedUp = false;
  if (significand === 0n) return zeroOf(format, negative);
  const length = bitLength(significand);
  // Exponent of the leading bit.
  let top = exponent + length - 1;
  const rounded = shiftAndRound(significand, length - precision, rest, env.rounding, negative);
  const { inexact, up } = rounded;
  let { kept } = rounded;
  if (kept >> BigInt(precision) !== 0n) {
    kept >>= 1n;
    top++;
  }
  const lowest = 1 - bias;
  if (top < lowest) {
    const masked = (env.masked & FloatFlag.Underflow) !== 0;
    if (masked && env.flushToZero) {
      env.flags |= FloatFlag.Underflow | FloatFlag.Precision;
      return zeroOf(format, negative);
    }
    if (!masked) {
      env.flags |= FloatFlag.Underflow | (inexact ? FloatFlag.Precision : 0);
      env.roundedUp = up;
      return wrapped(format, negative, kept, top, precision, UNMASKED_BIAS(format));
    }
    // One unit of the denormals' last place.
    const unit = lowest - (precision - 1);
    const tiny = shiftAndRound(significand, unit - exponent, rest, env.rounding, negative);
    if (tiny.inexact) env.flags |= FloatFlag.Underflow | FloatFlag.Precision;
    env.roundedUp = tiny.up;
    const aligned = tiny.kept << BigInt(format.precision - precision);
    const carried = aligned >> fractionBits(format) !== 0n;
    return pack(format, negative, carried ? 1 : 0, carried ? 0n : aligned);
  }
  if (top > maxExponent - 1 - bias) return overflow(format, env, negative, kept, top, precision, inexact, up);
  if (inexact) env.flags |= FloatFlag.Precision;
  env.roundedUp = up;
  const fraction = (kept - (1n << BigInt(precision - 1))) << BigInt(format.precision - precision);
  return pack(format, negative, top + bias, fraction);
}

/** What the x87 adds to (underflow) or takes from (overflow) an exponent whose exception is not masked (SDM volume 1, 8.5.4). */
const UNMASKED_BIAS = ({ maxExponent }: FloatFormat): number => (3 * (maxExponent + 1)) / 4;

function wrapped(format: FloatFormat, negative: boolean, kept: bigint, top: number, precision: number, by: number): bigint {
  const fraction = (kept - (1n << BigInt(precision - 1))) << BigInt(format.precision - precision);
  return pack(format, negative, top + by + format.bias, fraction);
}

function overflow(format: FloatFormat, env: FloatEnvironment, negative: boolean, kept: bigint, top: number, precision: number, inexact: boolean, up: boolean): bigint {
  if (!(env.masked & FloatFlag.Overflow)) {
    env.flags |= FloatFlag.Overflow | (inexact ? FloatFlag.Precision : 0);
    env.roundedUp = up;
    return wrapped(format, negative, kept, top, precision, -UNMASKED_BIAS(format));
  }
  env.flags |= FloatFlag.Overflow | FloatFlag.Precision;
  const toInfinity = env.rounding === Rounding.Nearest || (env.rounding === Rounding.Up && !negative) || (env.rounding === Rounding.Down && negative);
  env.roundedUp = toInfinity;
  if (toInfinity) return infinityOf(format, negative);
  const all = ((1n << BigInt(precision - 1)) - 1n) << BigInt(format.precision - precision);
  return pack(format, negative, format.maxExponent - 1, all);
}
