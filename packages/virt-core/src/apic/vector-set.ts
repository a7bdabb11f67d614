import { StateError } from '@paravisor/hcl-protocol';

/** A set of the 256 interrupt vectors, as the eight 32-bit banks of IRR, ISR and TMR (SDM volume 3, 11.8.4). */
export class VectorSet {
  /** Bank n holds vectors 32n .. 32n + 31. */
  readonly banks = new Int32Array(8);

  add(vector: number): void {
    this.banks[vector >>> 5]! |= 1 << (vector & 31);
  }

  remove(vector: number): void {
    this.banks[vector >>> 5]! &= ~(1 << (vector & 31));
  }

  has(vector: number): boolean {
    return (this.banks[vector >>> 5]! & (1 << (vector & 31))) !== 0;
  }

  /** The highest vector, −1 when empty. */
  highest(): number {
    for (let bank = 7; bank >= 0; bank--) {
      const bits = this.banks[bank]!;
      if (bits !== 0) return bank * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  /** Whether `vector`, which is in the set, is alone in it. */
  isOnly(vector: number): boolean {
    for (let bank = 0; bank < 8; bank++) if (this.banks[bank] !== (bank === vector >>> 5 ? 1 << (vector & 31) : 0)) return false;
    return true;
  }

  clear(): void {
    this.banks.fill(0);
  }

  save(): readonly number[] {
    return [...this.banks];
  }

  /** @throws {StateError} for another number of banks. */
  restore(state: readonly number[]): void {
    if (state.length !== this.banks.length) throw new StateError(`${this.banks.length} banks of vectors were to be restored, and ${state.length} are there`);
    this.banks.set(state);
  }
}
