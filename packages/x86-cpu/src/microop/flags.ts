/**
 * Lazy flags. An instruction that sets the arithmetic flags leaves its kind, size and operands (or its result) behind;
 * the flags are computed when somebody reads them. Values are zero-extended to 64 bits.
 */
export const FlagKind = {
  /** The flags themselves: A holds CF, PF, AF, ZF, SF and OF in their RFLAGS positions. */
  Ready: 0,
  /** A minus B. */
  Sub: 1,
  /** A plus B. */
  Add: 2,
  /** A is a result of AND, OR, XOR or TEST: CF, OF and AF are 0. */
  Logic: 3,
  /** A is a result; B holds CF, AF and OF in their RFLAGS positions. */
  Result: 4,
} as const;
export type FlagKind = (typeof FlagKind)[keyof typeof FlagKind];

/** An operand size in bytes. */
export type Size = 1 | 2 | 4 | 8;

export const SIZES = [1, 2, 4, 8] as const;

/** Log2 of a size. */
export const LOG2 = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;

/** The number kept in the state: kind and size. */
export function flagCode(kind: FlagKind, size: Size): number {
  return kind * 4 + LOG2[size];
}

/** RFLAGS bits (SDM volume 1, 3.4.3). */
export const Flag = {
  cf: 0x1,
  fixed: 0x2,
  pf: 0x4,
  af: 0x10,
  zf: 0x40,
  sf: 0x80,
  tf: 0x100,
  if: 0x200,
  df: 0x400,
  iopl: 0x3000,
  of: 0x800,
  nt: 0x4000,
  rf: 0x10000,
  vm: 0x20000,
  ac: 0x40000,
  vif: 0x80000,
  vip: 0x100000,
  id: 0x200000,
} as const;

/** The flags that are kept lazily. */
export const ARITHMETIC_FLAGS = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.of;

/** Condition codes by number (SDM volume 1, appendix B). */
export const Condition = {
  o: 0, no: 1, b: 2, ae: 3, e: 4, ne: 5, be: 6, a: 7, s: 8, ns: 9, p: 10, np: 11, l: 12, ge: 13, le: 14, g: 15,
} as const;
export type ConditionName = keyof typeof Condition;

/** Names by number. */
export const CONDITION_NAMES = Object.keys(Condition) as ConditionName[];
