// Seeded choices and operands that find edges.

const ALL = (1n << 64n) - 1n;

/** A seeded source (xorshift64). */
export class Random {
  #state;

  constructor(seed) {
    this.#state = BigInt.asUintN(64, BigInt(seed) * 0x9e37_79b9_7f4a_7c15n + 1n);
  }

  next64() {
    this.#state ^= (this.#state << 13n) & ALL;
    this.#state ^= this.#state >> 7n;
    this.#state ^= (this.#state << 17n) & ALL;
    return this.#state;
  }

  below(n) {
    return Number((this.next64() >> 11n) % BigInt(n));
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  /** True once in `n`. */
  once(n) {
    return this.below(n) === 0;
  }

  /**
   * An operand of `bytes` bytes: 0, 1, -1, the ends of the signed range of this and narrower sizes and their neighbours, powers of two, masks, small
   * numbers of either sign, anything. Bits above the operand are anything.
   */
  value(bytes) {
    const bits = BigInt(8 * bytes);
    const boundary = 1n << (BigInt(8 * this.pick([1, 2, 4, 8].filter((size) => size <= bytes))) - 1n);
    const bit = 1n << BigInt(this.below(8 * bytes));
    const operand = this.pick([
      () => this.pick([0n, 1n, -1n]),
      () => boundary + BigInt(this.below(3) - 1),
      () => -boundary + BigInt(this.below(3) - 1),
      () => this.pick([bit, bit - 1n, -bit, ~bit]),
      () => BigInt(this.below(40) - 20),
      () => this.next64(),
      () => this.next64(),
    ])();
    const above = this.once(2) ? 0n : (this.next64() << bits);
    return BigInt.asUintN(64, BigInt.asUintN(8 * bytes, operand) | above);
  }

  /** A count of a shift or rotate of operands of `bits`. */
  count(bits) {
    return BigInt(this.pick([0, 1, 1, 2, bits - 1, bits, bits + 1, 31, 32, 33, 63, 64, 65, 0xff, this.below(bits), this.below(256)])) & 0xffn;
  }
}
