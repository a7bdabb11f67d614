/** Native and virtual TSC of a trust domain (TDX module ABI, "TSC virtualization"; facts of TD partitioning's TSC_DEADLINE). */
import { U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** The multiplier's binary point: virtual = (native × multiplier) >> 48 + offset. */
const MULTIPLIER_SHIFT = 48n;

/** What the module keeps for a trust domain. Multiplier 2^48 is a ratio of one. */
export interface TscParameters {
  readonly multiplier: ReadonlyU64;
  readonly offset: ReadonlyU64;
}

/** A ratio of one and no offset: the virtual TSC is the native one. */
export const unscaledTsc: TscParameters = { multiplier: U64.of(1n << MULTIPLIER_SHIFT), offset: U64.of(0) };

const HALF = 0x10000;
const SIGN = 0x80000000;

/** Both directions of the conversion. Works on cells, allocates nothing. */
export class TscConversion {
  readonly #multiplier = new U64();
  readonly #offset = new U64();
  readonly #isUnscaled: boolean;
  readonly #low = new U64();
  readonly #delta = new U64();

  constructor({ multiplier, offset }: TscParameters) {
    if ((multiplier.lo | multiplier.hi) === 0) throw new RangeError('TSC multiplier 0: a virtual TSC that stands still');
    this.#multiplier.set(multiplier);
    this.#offset.set(offset);
    this.#isUnscaled = multiplier.lo === 0 && multiplier.hi === HALF;
  }

  /** (native × multiplier) >> 48 + offset, low 64 bits. `out` may be `native`. */
  toVirtual(native: ReadonlyU64, out: U64): void {
    if (this.#isUnscaled) {
      out.set(native).add(this.#offset);
      return;
    }
    const low = this.#low.set(native).mul(this.#multiplier);
    out.set(native).mulHigh(this.#multiplier);
    out.setParts((out.lo << 16) | (low.hi >>> 16), (out.hi << 16) | (out.lo >>> 16)).add(this.#offset);
  }

  /**
   * floor(((virtual − offset) << 48) / multiplier). False when it does not fit 64 bits, that is when (virtual − offset) >> 16 is not below the
   * multiplier; `out` is then unspecified. `out` may be `virtual`.
   */
  toNative(virtual: ReadonlyU64, out: U64): boolean {
    const delta = this.#delta.set(virtual).sub(this.#offset);
    out.setParts((delta.lo >>> 16) | (delta.hi << 16), delta.hi >>> 16);
    if (!out.isBelow(this.#multiplier)) return false;
    if (this.#isUnscaled) {
      out.set(delta);
      return true;
    }
    this.#divide(out, delta.lo << 16);
    return true;
  }

  /** Long division: `out` is the remainder so far, and the dividend's low 64 bits are `nextHigh` : 0 : 0, of which only bits 63:48 are set. */
  #divide(out: U64, nextHigh: number): void {
    const divisor = this.#multiplier;
    let { lo: remainderLo, hi: remainderHi } = out;
    let next = nextHigh;
    let quotientLo = 0;
    let quotientHi = 0;
    for (let bit = 0; bit < 64; bit++) {
      const carry = remainderHi & SIGN;
      remainderHi = (remainderHi << 1) | (remainderLo >>> 31);
      remainderLo = (remainderLo << 1) | (next >>> 31);
      next <<= 1;
      quotientHi = (quotientHi << 1) | (quotientLo >>> 31);
      quotientLo <<= 1;
      out.setParts(remainderLo, remainderHi);
      if (carry !== 0 || !out.isBelow(divisor)) {
        out.sub(divisor);
        remainderLo = out.lo;
        remainderHi = out.hi;
        quotientLo |= 1;
      }
    }
    out.setParts(quotientLo, quotientHi);
  }
}
