import type { Block, Translation } from '../code/block.js';
import type { CodeCache, TranslatedCode } from '../code/cache.js';
import { newCode } from '../interpreter/module.js';
import type { InterpreterCalls } from '../interpreter/module.js';
import type { MemorySpace } from '../memory/space.js';
import { BLOCK_HEADER_SIZE, BLOCK_HEAT_OFFSET, BLOCK_TRANSLATION_OFFSET } from '../microop/record.js';
import { microOp } from '../microop/catalog.js';
import type { JumpCache } from '../processor/jump-cache.js';
import { compileModule, instantiate } from '../wasm/platform.js';
import type { PlatformTable } from '../wasm/platform.js';
import { writeModule } from './module.js';
import { RegionFinder } from './region.js';
import { RegionWriter } from './write.js';

const COUNT = microOp('count');
const TRANSLATED = microOp('translated');

/** Most translations at a time, and by how many the table of them grows. */
const MAX_TRANSLATIONS = 2048;
const GROWTH = 64;
/** Most modules at a time: each takes some 10 KiB besides its code. */
const MAX_MODULES = 256;
/** Most regions that wait for being translated together. */
const BATCH = 24;
/** How many times as long as to become hot a block waits for others. */
const PATIENCE = 8;
/** Never again. */
const COLD = 0x7fffffff;
/** A block that has been entered less than this part as often as the entry is not taken into a region. */
const LEAST_SHARE = 8;

/** A region that has been translated. */
interface Translated extends Translation {
  readonly entry: Block;
  readonly slot: number;
  readonly batch: Set<Translated>;
}

/** A block or two without a loop run as fast where they are. */
const LEAST_STEPS = 16;

/**
 * Turns hot blocks into WebAssembly. A block that counts its entries starts with a record `count`; when that says that it is hot, the block waits for others, and
 * all that wait become one module. In a translated entry that record is `translated` and the block charges nothing, because the translation charges for itself.
 * Everything else about the block stays as it is, so that giving a translation up is putting two words back.
 */
export class Translator implements TranslatedCode {
  readonly #space: MemorySpace;
  readonly #context: number;
  readonly #table: PlatformTable;
  readonly #finder: RegionFinder;
  readonly #imports: Record<string, Record<string, unknown>>;
  readonly #threshold: number;
  readonly #waiting = new Set<Block>();
  readonly #hot = new WeakSet<Block>();
  /** Blocks that were hot inside somebody else's translation: the next time they get their own. */
  readonly #passed = new WeakSet<Block>();
  /** Modules, oldest first. */
  readonly #batches = new Set<Set<Translated>>();
  readonly #free: number[] = [];
  /** How often translations with code of a guest physical page were lost to changes of that code. */
  readonly #losses = new Map<number, number>();
  #lost = false;

  /** `threshold`: instructions that make a block hot. `retry` makes the access in progress end as one that is to be done again, by the interpreter. */
  constructor(
    space: MemorySpace, context: number, cache: CodeCache, jumps: JumpCache, table: PlatformTable, calls: InterpreterCalls, retry: () => void, threshold: number,
  ) {
    this.#space = space;
    this.#context = context;
    this.#table = table;
    this.#finder = new RegionFinder(space, cache, jumps);
    this.#threshold = threshold;
    const probe = (flags: number): number => {
      this.#lost = false;
      const at = calls.probe(flags);
      // The page walk wrote onto code, perhaps of the translation that is running.
      if (!this.#lost || at === -1) return at;
      retry();
      return -1;
    };
    this.#imports = { m: { memory: space.platform, probe, put: calls.put } };
  }

  heatOf(page: number, count: number): number {
    return Math.min(Math.ceil(this.#threshold / count) * 2 ** (this.#losses.get(page) ?? 0), COLD);
  }

  dropped(block: Block): void {
    this.#lost = true;
    this.#losses.set(block.page, (this.#losses.get(block.page) ?? 0) + 1);
    for (const translation of block.translations!) this.#giveUp(translation as Translated);
  }

  /** A block has been entered often. Afterwards it may be the entry of a translation. */
  hot(block: Block): void {
    this.#hot.add(block);
    if (this.#isInside(block)) {
      this.#heat(block, this.#entries(block));
      return;
    }
    const again = this.#waiting.has(block);
    this.#waiting.add(block);
    this.#heat(block, PATIENCE * this.#entries(block));
    if (again || this.#waiting.size >= BATCH || this.#threshold === 1) this.#translateWaiting();
  }

  /** As many entries as make a block hot. */
  #entries(block: Block): number {
    return this.heatOf(block.page, block.count);
  }

  #heat(block: Block, entries: number): void {
    this.#space.i32[(block.address + BLOCK_HEAT_OFFSET) >> 2] = entries;
  }

  /** Whether a block is in a translation already, the first time it is asked about. */
  #isInside(block: Block): boolean {
    if (!block.translations?.length || this.#passed.has(block)) return false;
    this.#passed.add(block);
    return true;
  }

  #translateWaiting(): void {
    const regions = [];
    const taken = new Set<Block>();
    for (const block of this.#waiting) {
      if (block.dropped || block.isTranslated) continue;
      if (taken.has(block) && !this.#passed.has(block)) {
        this.#passed.add(block);
        this.#heat(block, this.#entries(block));
        continue;
      }
      const region = this.#finder.find(block, (other, heat) => this.#hot.has(other) || LEAST_SHARE * (this.#entries(other) - heat) >= this.#entries(block));
      const writer = new RegionWriter(region, this.#context);
      if (!writer.hasLoop && region.blocks.reduce((sum, { steps }) => sum + steps.length, 0) < LEAST_STEPS && this.#threshold > 1) {
        this.#heat(block, COLD);
        continue;
      }
      for (const part of region.blocks) taken.add(part.block);
      regions.push({ entry: block, blocks: region.blocks.map((part) => part.block), body: writer.write() });
    }
    this.#waiting.clear();
    if (regions.length === 0) return;
    this.#makeRoom(regions.length);
    const exports = this.#compile(writeModule(regions.map(({ body }) => body)));
    if (exports === undefined) return;
    const batch = new Set<Translated>();
    this.#batches.add(batch);
    regions.forEach(({ entry, blocks }, i) => this.#install({ entry, blocks, slot: this.#free.pop()!, batch }, exports[String(i)]));
    newCode();
  }

  /** Undefined when the host has no room for more code: then there is less of it from now on. */
  #compile(bytes: Uint8Array): Record<string, unknown> | undefined {
    try {
      return instantiate(compileModule(bytes), this.#imports);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      while (this.#batches.size > 0) this.#evict();
      return undefined;
    }
  }

  #install(translation: Translated, code: unknown): void {
    const { entry, blocks, slot, batch } = translation;
    batch.add(translation);
    this.#table.set(slot, code);
    for (const block of blocks) (block.translations ??= []).push(translation);
    this.#lay(entry, 0, TRANSLATED.code);
    this.#space.i32[(entry.address + BLOCK_TRANSLATION_OFFSET) >> 2] = slot;
    entry.isTranslated = true;
  }

  /** Changes what entering a block charges, and its first record. */
  #lay(block: Block, charge: number, code: number): void {
    const { i32 } = this.#space;
    const record = (block.address + BLOCK_HEADER_SIZE) >> 2;
    i32[block.address >> 2] = charge;
    i32[record] = (i32[record]! & ~0xffff) | code;
  }

  #giveUp(translation: Translated): void {
    const { entry, blocks, slot, batch } = translation;
    for (const block of blocks) block.translations = block.translations!.filter((other) => other !== translation);
    this.#lay(entry, entry.count, COUNT.code);
    this.#heat(entry, this.#entries(entry));
    entry.isTranslated = false;
    this.#table.set(slot, null);
    this.#free.push(slot);
    batch.delete(translation);
    if (batch.size === 0) this.#batches.delete(batch);
  }

  /** Has `count` slots of the table free, and gives the oldest modules up for it when there are too many. */
  #makeRoom(count: number): void {
    if (this.#batches.size >= MAX_MODULES) this.#evict();
    while (this.#free.length < count) {
      const { length } = this.#table;
      if (length < MAX_TRANSLATIONS) {
        this.#table.grow(GROWTH);
        for (let slot = length + GROWTH - 1; slot >= length; slot--) this.#free.push(slot);
      } else this.#evict();
    }
  }

  /** Gives the oldest module up. */
  #evict(): void {
    const [oldest] = this.#batches;
    for (const translation of oldest!) this.#giveUp(translation);
  }
}
