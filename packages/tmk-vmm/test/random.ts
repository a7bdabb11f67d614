/** Reproducible chance for fuzzing: a seed is all that a report of a failure needs. */

/** How much a fuzz test does: `quick` with every test run, `long` under `npm run test:long`. */
export const amount = (quick: number, long: number): number => (process.env['PARAVISOR_LONG'] === '1' ? long : quick);

/** Time for one test, ms: a quick one's is that of any test. */
export const patience = amount(60_000, 3_600_000);

/** Prints a figure of a long run; a quick one is silent. */
export function report(line: string): void {
  if (process.env['PARAVISOR_LONG'] === '1') console.log(line);
}

/** A stream of numbers from a seed: xorshift32 (Marsaglia 2003), scrambled so that near seeds differ at once. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    for (let i = 0; i < 4; i++) this.next();
  }

  /** 32 bits, unsigned. */
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() >>> 24);
  }

  /** 64 bits: any, small, near a power of two, or near the top. */
  word(): bigint {
    const any = (BigInt(this.next()) << 32n) | BigInt(this.next());
    switch (this.below(4)) {
      case 0:
        return any;
      case 1:
        return any & 0xffffn;
      case 2:
        return BigInt.asUintN(64, (1n << (any & 63n)) + (any >> 62n) - 1n);
      default:
        return BigInt.asUintN(64, -(any & 0xffffn));
    }
  }
}
