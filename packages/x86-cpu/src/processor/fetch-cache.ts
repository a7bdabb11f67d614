import type { Linear } from '../code/block.js';
import { PAGE_BYTES } from '../memory/space.js';

const ENTRIES = 1024;
const EMPTY = -1;

/** Translations of instruction fetches, by linear page: direct-mapped, of one mode and privilege at a time. */
export class FetchCache {
  /** Linear page numbers. */
  readonly #linear = new Float64Array(ENTRIES);
  /** Guest physical page numbers. */
  readonly #physical = new Int32Array(ENTRIES).fill(EMPTY);
  /** Slots in use. */
  #used: number[] = [];

  /** The guest physical address of a linear one, or -1. */
  find(linear: Linear): number {
    const page = Math.floor(linear / PAGE_BYTES);
    const slot = page & (ENTRIES - 1);
    const physical = this.#physical[slot]!;
    return physical !== EMPTY && this.#linear[slot] === page ? physical * PAGE_BYTES + (linear - page * PAGE_BYTES) : -1;
  }

  /** Keeps a translation; says whether another had to go for it. */
  keep(linear: Linear, gpa: number): boolean {
    const page = Math.floor(linear / PAGE_BYTES);
    const slot = page & (ENTRIES - 1);
    const replaces = this.#physical[slot] !== EMPTY;
    if (!replaces) this.#used.push(slot);
    this.#linear[slot] = page;
    this.#physical[slot] = Math.floor(gpa / PAGE_BYTES);
    return replaces;
  }

  flush(): void {
    for (const slot of this.#used) this.#physical[slot] = EMPTY;
    this.#used.length = 0;
  }

  /** Linear and guest physical page of each, by turns. */
  save(): readonly number[] {
    return this.#used.toSorted((a, b) => a - b).flatMap((slot) => [this.#linear[slot]!, this.#physical[slot]!]);
  }

  /** Into an empty cache. */
  restore(saved: readonly number[]): void {
    for (let at = 0; at + 1 < saved.length; at += 2) this.keep(saved[at]! * PAGE_BYTES, saved[at + 1]! * PAGE_BYTES);
  }
}
