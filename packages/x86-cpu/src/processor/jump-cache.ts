import type { Linear } from '../code/block.js';
import { ContextOffset, JUMP_CACHE_ENTRIES, JUMP_CACHE_ENTRY_SIZE, JUMP_CACHE_SIZE } from '../memory/layout.js';
import { highHalf, lowHalf } from './registers.js';

/** The block of an unused entry. */
const EMPTY = -1;

/** Which entry an instruction pointer has. */
export function jumpCacheSlot(rip: Linear): number {
  const lo = lowHalf(rip);
  return (lo ^ (lo >>> 12)) & (JUMP_CACHE_ENTRIES - 1);
}

/** The interpreter's table from instruction pointers to blocks: of one execution mode and one set of translations at a time. */
export class JumpCache {
  readonly #memory: Int32Array;
  readonly #start: number;
  #used = true;

  /** `memory` is the whole memory's words, `context` where the register context starts in it. */
  constructor(memory: Int32Array, context: number) {
    this.#memory = memory;
    this.#start = (context + ContextOffset.jumpCache) >> 2;
    this.flush();
  }

  flush(): void {
    if (!this.#used) return;
    // No address finds an entry like this: all ones has its place in the first one, and 1 has it elsewhere.
    this.#memory.fill(-1, this.#start, this.#start + (JUMP_CACHE_SIZE >> 2));
    this.#memory[this.#start] = 1;
    this.#used = false;
  }

  #entry(rip: Linear): number {
    return this.#start + (jumpCacheSlot(rip) << 2);
  }

  /** Address of the block at `rip`, or -1. */
  find(rip: Linear): number {
    const entry = this.#entry(rip);
    return this.#memory[entry] === lowHalf(rip) && this.#memory[entry + 1] === highHalf(rip) ? this.#memory[entry + 2]! : -1;
  }

  /** Forgets a block, if it is there. */
  forget(rip: Linear, block: number): void {
    const entry = this.#entry(rip);
    if (this.#memory[entry + 2] !== block) return;
    this.#memory.fill(-1, entry, entry + (JUMP_CACHE_ENTRY_SIZE >> 2));
    if (entry === this.#start) this.#memory[entry] = 1;
  }

  /** Addresses of the blocks in it. */
  blocks(): number[] {
    const found: number[] = [];
    if (!this.#used) return found;
    for (let entry = this.#start; entry < this.#start + (JUMP_CACHE_SIZE >> 2); entry += JUMP_CACHE_ENTRY_SIZE >> 2) {
      if (this.#memory[entry + 2] !== EMPTY) found.push(this.#memory[entry + 2]!);
    }
    return found;
  }

  keep(rip: Linear, block: number): void {
    const entry = this.#entry(rip);
    this.#memory[entry] = lowHalf(rip);
    this.#memory[entry + 1] = highHalf(rip);
    this.#memory[entry + 2] = block;
    this.#used = true;
  }
}
