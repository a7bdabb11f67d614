/** Sets of VPs as hypercalls name them (TLFS "HV_VP_SET"; openvmm `ProcessorSet`). */

/** HV_GENERIC_SET_SPARSE_4K: a word that says which banks of 64 follow, then those banks. openvmm knows no other format, not even "all". */
const SPARSE_4K = 0;
const WORD = 8;

/** VP indices in rising order, read where the guest's input has them: one record a handler, reused. */
export class VpSet {
  #input: DataView | null = null;
  #offset = 0;
  #validLow = 0;
  #validHigh = 0;

  /** One bank: VPs 0 to 63, the word at `offset`. */
  readMask(input: DataView, offset: number): void {
    this.#input = input;
    this.#offset = offset;
    this.#validLow = 1;
    this.#validHigh = 0;
  }

  /** A set of `bytes` at `offset`: format, valid banks, banks. False when it is none, or has another number of banks than it says. */
  readSparse(input: DataView, offset: number, bytes: number): boolean {
    if (bytes < 2 * WORD || input.getInt32(offset, true) !== SPARSE_4K || input.getInt32(offset + 4, true) !== 0) return false;
    this.#input = input;
    this.#offset = offset + 2 * WORD;
    this.#validLow = input.getInt32(offset + WORD, true);
    this.#validHigh = input.getInt32(offset + WORD + 4, true);
    return bytes / WORD - 2 === countOnes(this.#validLow) + countOnes(this.#validHigh);
  }

  get isEmpty(): boolean {
    const banks = countOnes(this.#validLow) + countOnes(this.#validHigh);
    for (let at = 0; at < banks * WORD; at += 4) if (this.#input!.getInt32(this.#offset + at, true) !== 0) return false;
    return true;
  }

  /** Whether VP `index` (below 4096) is in the set. */
  has(index: number): boolean {
    const bank = index >>> 6;
    const bit = 1 << (bank & 31);
    const below = bit - 1;
    const high = bank >= 32;
    if (((high ? this.#validHigh : this.#validLow) & bit) === 0) return false;
    const before = high ? countOnes(this.#validLow) + countOnes(this.#validHigh & below) : countOnes(this.#validLow & below);
    const half = this.#input!.getInt32(this.#offset + before * WORD + ((index & 32) !== 0 ? 4 : 0), true);
    return (half & (1 << (index & 31))) !== 0;
  }
}

function countOnes(bits: number): number {
  let ones = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) ones++;
  return ones;
}
