import type { Block, Linear } from '../code/block.js';
import type { CodeCache } from '../code/cache.js';
import { linearOf, LONG_MODE } from '../code/execution-mode.js';
import type { ExecutionMode } from '../code/execution-mode.js';
import { DecodeStatus } from '../decode/index.js';
import { PAGE_BYTES } from '../memory/space.js';
import { Vector } from './fault.js';
import { FetchCache } from './fetch-cache.js';
import type { JumpCache } from './jump-cache.js';
import type { Mmu } from './mmu.js';
import type { SavedJump } from './saved-state.js';

/** From instruction pointers to decoded code: the jump cache, then the code cache behind a translation of the fetch, then the decoder. */
export class CodeFinder {
  readonly #cache: CodeCache;
  readonly #jumps: JumpCache;
  readonly #mmu: Mmu;
  readonly #pages = new FetchCache();
  #generation = 0;

  constructor(cache: CodeCache, jumps: JumpCache, mmu: Mmu) {
    this.#cache = cache;
    this.#jumps = jumps;
    this.#mmu = mmu;
  }

  /** Takes over the execution mode: what was found in another is forgotten. */
  adopt(mode: ExecutionMode): void {
    if (mode === this.#cache.mode) return;
    this.#cache.mode = mode;
    this.flush();
  }

  /** Translations or privilege have changed. */
  flush(): void {
    this.#jumps.flush();
    this.#pages.flush();
  }

  /** Translates a fetch; -1 with `fault` filled. What the jump cache knows lies in pages that are cached: where code is fetched from may not depend on how it was cut into blocks. */
  #fetch(linear: Linear): number {
    const known = this.#pages.find(linear);
    if (known >= 0) return known;
    const gpa = this.#mmu.translateFetch(linear);
    if (gpa >= 0 && this.#pages.keep(linear, gpa)) this.#jumps.flush();
    return gpa;
  }

  /** The block at an instruction pointer, decoded if need be; undefined with `fault` filled. */
  find(rip: Linear): Block | undefined {
    const known = this.#jumps.find(rip);
    if (known >= 0) return this.#cache.blockAt(known);
    const block = this.#look(rip);
    if (block === undefined) return undefined;
    this.checkGeneration();
    this.#jumps.keep(rip, block.address);
    return block;
  }

  /** When the arena was cleared, nothing in the jump cache is valid any more. */
  checkGeneration(): void {
    if (this.#generation === this.#cache.generation) return;
    this.#generation = this.#cache.generation;
    this.#jumps.flush();
  }

  #look(rip: Linear): Block | undefined {
    const cache = this.#cache;
    const { mode } = cache;
    if (rip > mode.limit) return this.#noCode(Vector.gp, 0);
    const linear = linearOf(mode, rip);
    const gpa = this.#fetch(linear);
    if (gpa < 0) return undefined;
    const next4K = (Math.floor(linear / PAGE_BYTES) + 1) * PAGE_BYTES;
    const nextPage = mode === LONG_MODE ? next4K : next4K % 2 ** 32;
    const known = cache.find(Math.floor(gpa / PAGE_BYTES), rip);
    if (known !== undefined) {
      if (known.secondPage < 0) return known;
      const next = this.#fetch(nextPage);
      if (next < 0) return undefined;
      if (Math.floor(next / PAGE_BYTES) === known.secondPage && Math.floor(gpa / PAGE_BYTES) === known.page) return known;
      cache.dropBlock(known);
    }
    let built = cache.build(rip, gpa, -1);
    if (built === DecodeStatus.Truncated) {
      const next = this.#fetch(nextPage);
      if (next < 0) return undefined;
      built = cache.build(rip, gpa, next);
    }
    if (typeof built !== 'number') return built;
    return built === DecodeStatus.TooLong ? this.#noCode(Vector.gp, 0) : this.#noCode(Vector.ud, -1);
  }

  #noCode(vector: number, errorCode: number): undefined {
    const { fault } = this.#mmu;
    fault.vector = vector;
    fault.errorCode = errorCode;
    return undefined;
  }

  /** What the jump cache knows: nothing if it is of another mode than the one given. */
  save(mode: ExecutionMode): SavedJump[] {
    if (mode !== this.#cache.mode) return [];
    return this.#jumps.blocks().map((address) => {
      const { rip, page, offset, secondPage } = this.#cache.blockAt(address);
      return { rip, gpa: page * PAGE_BYTES + offset, nextGpa: secondPage < 0 ? -1 : secondPage * PAGE_BYTES };
    });
  }

  /** The translations of fetches, for a mode as `save`. */
  saveFetches(mode: ExecutionMode): readonly number[] {
    return mode === this.#cache.mode ? this.#pages.save() : [];
  }

  restore(mode: ExecutionMode, jumps: readonly SavedJump[], fetches: readonly number[]): void {
    this.#cache.mode = mode;
    this.#pages.restore(fetches);
    for (const { rip, gpa, nextGpa } of jumps) {
      const block = this.#cache.build(rip, gpa, nextGpa);
      if (typeof block === 'number') throw new RangeError(`no code can be decoded where there was some, at ${rip}`);
      this.checkGeneration();
      this.#jumps.keep(rip, block.address);
    }
  }
}
