/**
 * 64-bit unsigned values without BigInt: two int32 halves, so that V8 keeps them as small integers and a value on the
 * way of an exit allocates nothing. Arithmetic is modulo 2^64. Methods that compute write into `this` and return it.
 */

/** Anything that can be read as a 64-bit value: a `U64` cell or a field of a mapped page. */
export interface ReadonlyU64 {
  /** Bits 31:0 as an int32. */
  readonly lo: number;
  /** Bits 63:32 as an int32. */
  readonly hi: number;
}

const TWO_32 = 4294967296;
const TWO_64 = TWO_32 * TWO_32;
/** Twice as much of a product of doubles as it may be off by, and a little. */
const DOUBT = 2 ** -50;

/** High 32 bits of the unsigned product of two 32-bit halves. */
function mulHigh32(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = Math.imul(aLow, bLow) >>> 0;
  // Neither sum passes 32 bits: (2^16 − 1)^2 + 2^16 − 1 = 2^32 − 2^16.
  const mid = (Math.imul(aHigh, bLow) + (low >>> 16)) >>> 0;
  const cross = (Math.imul(aLow, bHigh) + (mid & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (mid >>> 16) + (cross >>> 16)) | 0;
}

/** A mutable 64-bit cell. */
export class U64 implements ReadonlyU64 {
  lo = 0;
  hi = 0;

  static of(value: bigint | number): U64 {
    const cell = new U64();
    return typeof value === 'bigint' ? cell.setBigInt(value) : cell.setNumber(value);
  }

  set(from: ReadonlyU64): this {
    this.lo = from.lo;
    this.hi = from.hi;
    return this;
  }

  setParts(lo: number, hi: number): this {
    this.lo = lo | 0;
    this.hi = hi | 0;
    return this;
  }

  /** `value` is an integer of at most 2^53 in magnitude; negative values wrap. */
  setNumber(value: number): this {
    this.lo = value | 0;
    this.hi = Math.floor(value / TWO_32) | 0;
    return this;
  }

  /** The `| 0` is for V8: what `Number` makes of a BigInt may be a heap number, and one in a cell makes every cell's half a double. */
  setBigInt(value: bigint): this {
    this.lo = Number(BigInt.asIntN(32, value)) | 0;
    this.hi = Number(BigInt.asIntN(32, value >> 32n)) | 0;
    return this;
  }

  add(other: ReadonlyU64): this {
    const low = (this.lo >>> 0) + (other.lo >>> 0);
    this.hi = (this.hi + other.hi + (low >= TWO_32 ? 1 : 0)) | 0;
    this.lo = low | 0;
    return this;
  }

  sub(other: ReadonlyU64): this {
    const borrow = this.lo >>> 0 < other.lo >>> 0 ? 1 : 0;
    this.lo = (this.lo - other.lo) | 0;
    this.hi = (this.hi - other.hi - borrow) | 0;
    return this;
  }

  /** this × other, low 64 bits. */
  mul(other: ReadonlyU64): this {
    const { lo, hi } = this;
    this.hi = (mulHigh32(lo, other.lo) + Math.imul(lo, other.hi) + Math.imul(hi, other.lo)) | 0;
    this.lo = Math.imul(lo, other.lo);
    return this;
  }

  /** (this × other) >> 64, the full unsigned product's high half. */
  mulHigh(other: ReadonlyU64): this {
    const { lo, hi } = this;
    if (hi >>> 20 === 0) {
      // A short one: a product of doubles is off by less, which matters next to a whole number alone.
      const product = (hi * TWO_32 + (lo >>> 0)) * ((other.hi >>> 0) / TWO_32 + (other.lo >>> 0) / TWO_64);
      const whole = Math.floor(product);
      const doubt = product * DOUBT;
      if (product - whole > doubt && product - whole < 1 - doubt) return this.setNumber(whole);
    }
    const a = mulHigh32(lo, other.lo) >>> 0;
    const b = Math.imul(lo, other.hi) >>> 0;
    const c = Math.imul(hi, other.lo) >>> 0;
    const carry = a + b + c >= TWO_32 ? (a + b + c >= 2 * TWO_32 ? 2 : 1) : 0;
    const low = (mulHigh32(lo, other.hi) >>> 0) + (mulHigh32(hi, other.lo) >>> 0) + (Math.imul(hi, other.hi) >>> 0) + carry;
    this.hi = (mulHigh32(hi, other.hi) + Math.floor(low / TWO_32)) | 0;
    this.lo = low | 0;
    return this;
  }

  isZero(): boolean {
    return (this.lo | this.hi) === 0;
  }

  equals(other: ReadonlyU64): boolean {
    return this.lo === other.lo && this.hi === other.hi;
  }

  /** Unsigned this < other. */
  isBelow(other: ReadonlyU64): boolean {
    return this.hi === other.hi ? this.lo >>> 0 < other.lo >>> 0 : this.hi >>> 0 < other.hi >>> 0;
  }

  /** Signed (this − other) < 0: earlier on a wrapping time line, so not transitive. */
  isBefore(other: ReadonlyU64): boolean {
    const borrow = this.lo >>> 0 < other.lo >>> 0 ? 1 : 0;
    return ((this.hi - other.hi - borrow) | 0) < 0;
  }

  /** The value as a number; exact below 2^53. */
  toNumber(): number {
    return (this.hi >>> 0) * TWO_32 + (this.lo >>> 0);
  }

  toBigInt(): bigint {
    return (BigInt(this.hi >>> 0) << 32n) | BigInt(this.lo >>> 0);
  }

  /** Unsigned hexadecimal with 0x, for messages. */
  toString(): string {
    return `0x${this.toBigInt().toString(16)}`;
  }
}

/** The value of any 64-bit source as a BigInt: for reports and tests, not for hot paths. */
export function u64ToBigInt(value: ReadonlyU64): bigint {
  return (BigInt(value.hi >>> 0) << 32n) | BigInt(value.lo >>> 0);
}

/** The value as a number; exact below 2^53. */
export function u64ToNumber(value: ReadonlyU64): number {
  return (value.hi >>> 0) * TWO_32 + (value.lo >>> 0);
}
