import { StateError } from '@paravisor/hcl-protocol';

/** A set of the 256 interrupt vectors, as the eight 32-bit banks of IRR, ISR and TMR (SDM volume 3, 11.8.4). */
export class VectorSet {
  readonly #banks = new Int32Array(8);
  /** Bit n: bank n holds a vector. */
  #occupied = 0;

  /** Bit n: bank n holds a vector. */
  get occupied(): number {
    return this.#occupied;
  }

  /** Vectors 32n .. 32n + 31, as an int32. */
  bank(n: number): number {
    return this.#banks[n]!;
  }

  setBank(n: number, vectors: number): void {
    this.#banks[n] = vectors;
    if (vectors === 0) this.#occupied &= ~(1 << n);
    else this.#occupied |= 1 << n;
  }

  add(vector: number): void {
    this.setBank(vector >>> 5, this.#banks[vector >>> 5]! | (1 << (vector & 31)));
  }

  remove(vector: number): void {
    this.setBank(vector >>> 5, this.#banks[vector >>> 5]! & ~(1 << (vector & 31)));
  }

  has(vector: number): boolean {
    return (this.#banks[vector >>> 5]! & (1 << (vector & 31))) !== 0;
  }

  /** The highest vector, −1 when empty. */
  highest(): number {
    if (this.#occupied === 0) return -1;
    const bank = highestBit(this.#occupied);
    return bank * 32 + highestBit(this.#banks[bank]!);
  }

  /** Whether `vector`, which is in the set, is alone in it. */
  isOnly(vector: number): boolean {
    const bank = vector >>> 5;
    return this.#occupied === 1 << bank && this.#banks[bank] === 1 << (vector & 31);
  }

  clear(): void {
    if (this.#occupied === 0) return;
    this.#banks.fill(0);
    this.#occupied = 0;
  }

  save(): readonly number[] {
    return [...this.#banks];
  }

  /** @throws {StateError} for another number of banks. */
  restore(state: readonly number[]): void {
    if (state.length !== this.#banks.length) throw new StateError(`${this.#banks.length} banks of vectors were to be restored, and ${state.length} are there`);
    for (const [n, vectors] of state.entries()) this.setBank(n, vectors);
  }
}

const highestBit = (bits: number): number => 31 - Math.clz32(bits);
