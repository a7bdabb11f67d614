/**
 * Integer arithmetic with flags, on unsigned BigInts of 8 to 64 bits, each function after its page of the SDM (volume 2) and as plain as that page.
 * All take RFLAGS and give the new RFLAGS. Flags the architecture leaves undefined (see `undefinedFlags`): AF is 0 after logic, shifts, scans and
 * multiplications; OF of longer shifts comes from the one-bit formula; SF, ZF and PF of a product from its low half; the rest is left alone.
 */

/** Arithmetic flags in RFLAGS. */
export const Flag = { CF: 1n << 0n, PF: 1n << 2n, AF: 1n << 4n, ZF: 1n << 6n, SF: 1n << 7n, DF: 1n << 10n, OF: 1n << 11n } as const;

/** The six status flags. */
export const STATUS_FLAGS = Flag.CF | Flag.PF | Flag.AF | Flag.ZF | Flag.SF | Flag.OF;

/** A value and the RFLAGS it leaves. */
export interface Flagged {
  readonly value: bigint;
  readonly rflags: bigint;
}

/** All ones in `bits`. */
export function ones(bits: number): bigint {
  return (1n << BigInt(bits)) - 1n;
}

/** The sign bit of a value of `bits`. */
function signOf(value: bigint, bits: number): boolean {
  return (value >> BigInt(bits - 1)) % 2n === 1n;
}

function evenParity(value: bigint): boolean {
  let count = 0;
  for (let byte = Number(value & 0xffn); byte !== 0; byte >>= 1) count += byte & 1;
  return count % 2 === 0;
}

function compose(rflags: bigint, changes: readonly (readonly [bigint, boolean])[]): bigint {
  let out = rflags;
  for (const [flag, set] of changes) out = set ? out | flag : out & ~flag;
  return out;
}

function resultFlags(rflags: bigint, value: bigint, bits: number): bigint {
  return compose(rflags, [
    [Flag.ZF, value === 0n],
    [Flag.SF, signOf(value, bits)],
    [Flag.PF, evenParity(value)],
  ]);
}

/** a + b + carry. */
export function add(rflags: bigint, a: bigint, b: bigint, carry: bigint, bits: number): Flagged {
  const sum = a + b + carry;
  const value = sum & ones(bits);
  const flags = compose(resultFlags(rflags, value, bits), [
    [Flag.CF, sum > ones(bits)],
    [Flag.AF, (a & 15n) + (b & 15n) + carry > 15n],
    [Flag.OF, signOf(a, bits) === signOf(b, bits) && signOf(value, bits) !== signOf(a, bits)],
  ]);
  return { value, rflags: flags };
}

/** a - b - borrow. */
export function subtract(rflags: bigint, a: bigint, b: bigint, borrow: bigint, bits: number): Flagged {
  const difference = a - b - borrow;
  const value = difference & ones(bits);
  const flags = compose(resultFlags(rflags, value, bits), [
    [Flag.CF, difference < 0n],
    [Flag.AF, (a & 15n) - (b & 15n) - borrow < 0n],
    [Flag.OF, signOf(a, bits) !== signOf(b, bits) && signOf(value, bits) !== signOf(a, bits)],
  ]);
  return { value, rflags: flags };
}

/** The flags of AND, OR, XOR and TEST with this result. */
export function logic(rflags: bigint, value: bigint, bits: number): Flagged {
  return { value, rflags: resultFlags(rflags & ~(Flag.CF | Flag.OF | Flag.AF), value, bits) };
}

/** Replaces `flagged`'s carry by the one before: INC and DEC. */
export function keepCarry(before: bigint, flagged: Flagged): Flagged {
  return { value: flagged.value, rflags: (flagged.rflags & ~Flag.CF) | (before & Flag.CF) };
}

/** The count of a shift or rotate: 6 bits for 64-bit operands, else 5. */
export function maskCount(count: bigint, bits: number): number {
  return Number(count & (bits === 64 ? 63n : 31n));
}

function shiftFlags(rflags: bigint, value: bigint, carry: boolean, overflow: boolean, bits: number): Flagged {
  const flags = compose(resultFlags(rflags, value, bits), [
    [Flag.CF, carry],
    [Flag.OF, overflow],
    [Flag.AF, false],
  ]);
  return { value, rflags: flags };
}

/** SHL by a masked count. */
export function shiftLeft(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const wide = a << BigInt(count);
  const value = wide & ones(bits);
  const carry = (wide >> BigInt(bits)) % 2n === 1n;
  return shiftFlags(rflags, value, carry, signOf(value, bits) !== carry, bits);
}

/** SHR by a masked count. */
export function shiftRight(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const before = a >> BigInt(count - 1);
  return shiftFlags(rflags, before >> 1n, before % 2n === 1n, signOf(a, bits), bits);
}

/** SAR by a masked count. */
export function shiftArithmetic(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const before = BigInt.asIntN(bits, a) >> BigInt(count - 1);
  return shiftFlags(rflags, (before >> 1n) & ones(bits), (before & 1n) === 1n, false, bits);
}

/** ROL by a masked count; only CF and OF change. */
export function rotateLeft(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const turn = BigInt(count % bits);
  const value = ((a << turn) | (a >> (BigInt(bits) - turn))) & ones(bits);
  const carry = value % 2n === 1n;
  return { value, rflags: compose(rflags, [[Flag.CF, carry], [Flag.OF, signOf(value, bits) !== carry]]) };
}

/** ROR by a masked count; only CF and OF change. */
export function rotateRight(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const turn = BigInt(count % bits);
  const value = ((a >> turn) | (a << (BigInt(bits) - turn))) & ones(bits);
  const top = signOf(value, bits);
  return { value, rflags: compose(rflags, [[Flag.CF, top], [Flag.OF, top !== signOf(value << 1n & ones(bits), bits)]]) };
}

/** RCL by a masked count, bit by bit; only CF and OF change. */
export function rotateCarryLeft(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count % (bits + 1) === 0) return { value: a, rflags };
  let value = a;
  let carry = rflags & Flag.CF;
  for (let i = 0; i < count % (bits + 1); i++) {
    const wide = (value << 1n) | carry;
    carry = wide >> BigInt(bits);
    value = wide & ones(bits);
  }
  return { value, rflags: compose(rflags, [[Flag.CF, carry === 1n], [Flag.OF, signOf(value, bits) !== (carry === 1n)]]) };
}

/** RCR by a masked count, bit by bit; only CF and OF change. */
export function rotateCarryRight(rflags: bigint, a: bigint, count: number, bits: number): Flagged {
  if (count % (bits + 1) === 0) return { value: a, rflags };
  let value = a;
  let carry = rflags & Flag.CF;
  for (let i = 0; i < count % (bits + 1); i++) {
    const out = value & 1n;
    value = (value >> 1n) | (carry << BigInt(bits - 1));
    carry = out;
  }
  return { value, rflags: compose(rflags, [[Flag.CF, carry === 1n], [Flag.OF, signOf(value, bits) !== signOf((value << 1n) & ones(bits), bits)]]) };
}

/**
 * SHLD by a masked count. Counts above 16 of a 16-bit operand are undefined; the operands are taken as a ring then.
 */
export function shiftLeftDouble(rflags: bigint, a: bigint, filler: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const ring = (((a << BigInt(bits)) | filler) << BigInt(bits)) | a;
  const wide = ring << BigInt(count);
  const value = (wide >> BigInt(2 * bits)) & ones(bits);
  const carry = (wide >> BigInt(3 * bits)) % 2n === 1n;
  return shiftFlags(rflags, value, carry, signOf(value, bits) !== signOf(a, bits), bits);
}

/** SHRD by a masked count. */
export function shiftRightDouble(rflags: bigint, a: bigint, filler: bigint, count: number, bits: number): Flagged {
  if (count === 0) return { value: a, rflags };
  const ring = (((a << BigInt(bits)) | filler) << BigInt(bits)) | a;
  const before = ring >> BigInt(count - 1);
  const value = (before >> 1n) & ones(bits);
  return shiftFlags(rflags, value, before % 2n === 1n, signOf(value, bits) !== signOf(a, bits), bits);
}

/** The double-width product, with CF and OF set when the low half alone does not hold it. */
export function multiply(rflags: bigint, a: bigint, b: bigint, signed: boolean, bits: number): Flagged {
  const product = signed ? BigInt.asIntN(bits, a) * BigInt.asIntN(bits, b) : a * b;
  const value = product & ones(2 * bits);
  const low = value & ones(bits);
  const lost = signed ? product !== BigInt.asIntN(bits, product) : value !== low;
  const flags = compose(resultFlags(rflags, low, bits), [
    [Flag.CF, lost],
    [Flag.OF, lost],
    [Flag.AF, false],
  ]);
  return { value, rflags: flags };
}

/** Quotient and remainder of a double-width dividend, or undefined for #DE. */
export function divide(dividend: bigint, divisor: bigint, signed: boolean, bits: number): { quotient: bigint; remainder: bigint } | undefined {
  const n = signed ? BigInt.asIntN(2 * bits, dividend) : dividend;
  const d = signed ? BigInt.asIntN(bits, divisor) : divisor;
  if (d === 0n) return undefined;
  const quotient = n / d;
  if (quotient !== (signed ? BigInt.asIntN(bits, quotient) : BigInt.asUintN(bits, quotient))) return undefined;
  return { quotient: quotient & ones(bits), remainder: (n % d) & ones(bits) };
}

/** BSF or BSR; undefined for a zero source, which leaves the destination alone. */
export function scan(rflags: bigint, source: bigint, reverse: boolean, bits: number): { value: bigint | undefined; rflags: bigint } {
  const flags = logic(rflags, source, bits).rflags;
  if (source === 0n) return { value: undefined, rflags: flags };
  return { value: BigInt(reverse ? lengthOf(source) - 1 : trailingZeros(source, bits)), rflags: flags };
}

/** TZCNT or LZCNT: CF for a zero source, ZF for a zero result. */
export function countZeros(rflags: bigint, source: bigint, leading: boolean, bits: number): Flagged {
  const value = BigInt(leading ? bits - lengthOf(source) : trailingZeros(source, bits));
  return { value, rflags: compose(rflags, [[Flag.CF, source === 0n], [Flag.ZF, value === 0n]]) };
}

/** POPCNT: all status flags cleared but ZF, which says that the source is 0. */
export function populationCount(rflags: bigint, source: bigint): Flagged {
  let value = 0n;
  for (let rest = source; rest !== 0n; rest >>= 1n) value += rest & 1n;
  return { value, rflags: compose(rflags & ~STATUS_FLAGS, [[Flag.ZF, source === 0n]]) };
}

function lengthOf(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

function trailingZeros(value: bigint, bits: number): number {
  for (let i = 0; i < bits; i++) if ((value >> BigInt(i)) % 2n === 1n) return i;
  return bits;
}

/** The bytes of a value, turned round. */
export function reverseBytes(value: bigint, bytes: number): bigint {
  let out = 0n;
  for (let i = 0; i < bytes; i++) out = (out << 8n) | ((value >> BigInt(8 * i)) & 0xffn);
  return out;
}

/** CRC-32C (polynomial 11EDC6F41h, bits reflected) of one more value, as the CRC32 instruction accumulates it. */
export function crc32c(accumulator: bigint, value: bigint, bits: number): bigint {
  let crc = (accumulator & 0xffff_ffffn) ^ (value & ones(bits));
  for (let i = 0; i < bits; i++) crc = crc % 2n === 1n ? (crc >> 1n) ^ 0x82f6_3b78n : crc >> 1n;
  return crc & 0xffff_ffffn;
}

/** Does condition code 0..15 hold? SDM volume 1, appendix B. */
export function conditionHolds(condition: number, rflags: bigint): boolean {
  const has = (flag: bigint): boolean => (rflags & flag) !== 0n;
  const pairs = [
    has(Flag.OF),
    has(Flag.CF),
    has(Flag.ZF),
    has(Flag.CF) || has(Flag.ZF),
    has(Flag.SF),
    has(Flag.PF),
    has(Flag.SF) !== has(Flag.OF),
    has(Flag.ZF) || has(Flag.SF) !== has(Flag.OF),
  ];
  return pairs[condition >> 1]! !== (condition % 2 === 1);
}
