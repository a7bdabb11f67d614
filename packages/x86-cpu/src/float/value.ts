import type { FloatFormat } from './format.js';

/** What kind of number bits are. */
export const FloatClass = { Zero: 0, Finite: 1, Infinity: 2, QuietNan: 3, SignalingNan: 4, /** An encoding of the x87 that no longer means a number. */ Unsupported: 5 } as const;
export type FloatClass = (typeof FloatClass)[keyof typeof FloatClass];

/** A number taken apart: (−1)^negative × significand × 2^exponent. The significand of a NaN is its fraction field. */
export interface FloatValue {
  readonly class: FloatClass;
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
  readonly denormal: boolean;
  /** The bits it came from. */
  readonly bits: bigint;
}

/** Bits of a significand without its leading one. */
export const fractionBits = ({ precision }: FloatFormat): bigint => BigInt(precision - 1);

/** Takes bits apart. SDM volume 1, 4.8.3 and table 8-3 for the unsupported formats of the x87. */
export function unpack(format: FloatFormat, bits: bigint): FloatValue {
  const { precision, maxExponent, bias, explicitLeading, width } = format;
  const negative = bits >> BigInt(width - 1) !== 0n;
  const stored = BigInt(explicitLeading ? precision : precision - 1);
  const field = Number((bits >> stored) & BigInt(maxExponent));
  const mantissa = bits & ((1n << stored) - 1n);
  const leading = 1n << fractionBits(format);
  const fraction = mantissa & (leading - 1n);
  const value = (kind: FloatClass, significand: bigint, exponent: number, denormal: boolean): FloatValue => ({ class: kind, negative, significand, exponent, denormal, bits });
  if (explicitLeading && field !== 0 && (mantissa & leading) === 0n) return value(FloatClass.Unsupported, fraction, 0, false);
  if (field === maxExponent) {
    if (fraction === 0n) return value(FloatClass.Infinity, 0n, 0, false);
    return value((fraction & (leading >> 1n)) === 0n ? FloatClass.SignalingNan : FloatClass.QuietNan, fraction, 0, false);
  }
  const scale = 1 - bias - (precision - 1);
  if (field === 0) return mantissa === 0n ? value(FloatClass.Zero, 0n, 0, false) : value(FloatClass.Finite, mantissa, scale, true);
  return value(FloatClass.Finite, leading | fraction, scale + field - 1, false);
}

/** Puts fields together. `fraction` is without the leading one. */
export function pack(format: FloatFormat, negative: boolean, exponentField: number, fraction: bigint): bigint {
  const { precision, maxExponent, explicitLeading, width } = format;
  const stored = BigInt(explicitLeading ? precision : precision - 1);
  const leading = explicitLeading && exponentField !== 0 ? 1n << fractionBits(format) : 0n;
  return ((negative ? 1n : 0n) << BigInt(width - 1)) | (BigInt(exponentField & maxExponent) << stored) | leading | fraction;
}

export const zeroOf = (format: FloatFormat, negative: boolean): bigint => pack(format, negative, 0, 0n);
export const infinityOf = (format: FloatFormat, negative: boolean): bigint => pack(format, negative, format.maxExponent, 0n);

/** The QNaN floating-point indefinite: negative, quiet, no payload (SDM volume 1, 4.8.3.7). */
export const indefiniteOf = (format: FloatFormat): bigint => pack(format, true, format.maxExponent, 1n << (fractionBits(format) - 1n));

/** A NaN made quiet, its sign and payload kept. */
export const quieted = (format: FloatFormat, { negative, significand }: FloatValue): bigint =>
  pack(format, negative, format.maxExponent, significand | (1n << (fractionBits(format) - 1n)));

export const isNan = (value: FloatValue): boolean => value.class === FloatClass.QuietNan || value.class === FloatClass.SignalingNan;
