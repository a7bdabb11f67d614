/** A binary floating-point format of IEEE 754, or the 80-bit one of the x87. */
export interface FloatFormat {
  /** Bits of the significand, the leading one included. */
  readonly precision: number;
  /** Exponent field that means infinity and NaN; half of it is the bias. */
  readonly maxExponent: number;
  readonly bias: number;
  /** The leading one is stored (x87). */
  readonly explicitLeading: boolean;
  /** Bits in memory. */
  readonly width: number;
}

function format(precision: number, exponentBits: number, width: number): FloatFormat {
  const maxExponent = 2 ** exponentBits - 1;
  return { precision, maxExponent, bias: maxExponent >> 1, explicitLeading: width === 80, width };
}

export const SINGLE = format(24, 8, 32);
export const DOUBLE = format(53, 11, 64);
export const EXTENDED = format(64, 15, 80);

/** Rounding control, in MXCSR and the x87 control word alike (SDM volume 1, table 4-8). */
export const Rounding = { Nearest: 0, Down: 1, Up: 2, Zero: 3 } as const;

/** Floating-point exceptions as MXCSR and the x87 status word have them (SDM volume 1, 4.9.1). */
export const FloatFlag = { Invalid: 1, Denormal: 2, DivideByZero: 4, Overflow: 8, Underflow: 16, Precision: 32 } as const;

/** How results are made: rounding, flushing, and which exceptions do not trap. `flags` collects what happened. */
export interface FloatEnvironment {
  rounding: number;
  /** `FloatFlag` bits whose exceptions are masked; matters to underflow only. */
  masked: number;
  /** A denormal operand is taken as zero (MXCSR.DAZ). */
  denormalsAreZero: boolean;
  /** A tiny result becomes zero (MXCSR.FTZ) when underflow is masked. */
  flushToZero: boolean;
  flags: number;
  /** x87: the significand was rounded up in magnitude (C1). */
  roundedUp: boolean;
}

export function createFloatEnvironment(): FloatEnvironment {
  return { rounding: Rounding.Nearest, masked: 0x3f, denormalsAreZero: false, flushToZero: false, flags: 0, roundedUp: false };
}
