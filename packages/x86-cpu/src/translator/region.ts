import type { Block, Step } from '../code/block.js';
import type { CodeCache } from '../code/cache.js';
import type { MemorySpace } from '../memory/space.js';
import { BLOCK_HEADER_SIZE, BLOCK_HEAT_OFFSET, fieldOffset, recordSize } from '../microop/record.js';
import { microOp } from '../microop/catalog.js';
import type { JumpCache } from '../processor/jump-cache.js';

const JUMP = microOp('jump');

/** Most blocks and micro-operations of a region. */
const MAX_BLOCKS = 64;
const MAX_STEPS = 700;

/** Where a link leads. */
export interface Edge {
  /** Address of the link: whatever is there is where it leads, if nothing below says better. */
  readonly link: number;
  /** The block of the region that it leads to, or -1. */
  readonly node: number;
  /** The instruction pointer to look up first, when the link goes through the jump cache; NaN when it is direct. */
  readonly rip: number;
}

/** A block of a region with what is needed to write it. */
export interface RegionBlock {
  readonly block: Block;
  readonly steps: readonly Step[];
  readonly constants: readonly number[];
  /** Address of each step's record. */
  readonly records: readonly number[];
  /** By step and field, for links. */
  readonly edges: readonly (readonly (Edge | undefined)[])[];
}

/** Blocks that are worth being translated together: from a hot block along the links that have been used often enough. */
export interface Region {
  readonly blocks: readonly RegionBlock[];
  /** Blocks behind calls of the region: where its returns are likely to lead. */
  readonly returns: readonly number[];
}

/** Finds regions in the decoded code of a processor. It decodes nothing new, so that nobody can tell that it looked. */
export class RegionFinder {
  readonly #i32: Int32Array;
  readonly #cache: CodeCache;
  readonly #jumps: JumpCache;

  constructor(space: MemorySpace, cache: CodeCache, jumps: JumpCache) {
    this.#i32 = space.i32;
    this.#cache = cache;
    this.#jumps = jumps;
  }

  /** `isHot` is given a block and how many entries it is from being hot, and says whether it is to be taken in. */
  find(entry: Block, isHot: (block: Block, heat: number) => boolean): Region {
    const nodes = new Map<Block, number>([[entry, 0]]);
    const list: Block[] = [entry];
    const lowered = new Map<Block, { steps: readonly Step[]; constants: readonly number[]; records: readonly number[]; targets: (Target | undefined)[][] }>();
    const sites: Block[] = [];
    let room = MAX_STEPS;
    const offer = (block: Block | undefined): void => {
      if (block === undefined || nodes.has(block) || list.length >= MAX_BLOCKS || !this.#isWorth(block, entry, isHot)) return;
      nodes.set(block, list.length);
      list.push(block);
    };
    for (let i = 0; i < list.length; i++) {
      const block = list[i]!;
      const { steps, constants } = this.#cache.lowered(block);
      room -= steps.length;
      const records: number[] = [];
      const targets: (Target | undefined)[][] = [];
      let at = block.address + BLOCK_HEADER_SIZE;
      for (const { operation, fields } of steps) {
        records.push(at);
        targets.push(operation.fields.map((kind, field) => (kind === 't' ? this.#follow(block, at + fieldOffset(field), fields[field]!) : undefined)));
        at += recordSize(operation);
      }
      lowered.set(block, { steps, constants, records, targets });
      if (room < 0) continue;
      for (const links of targets) for (const target of links) offer(target?.block);
      const last = steps.at(-1)!;
      if (last.operation.name.startsWith('call')) {
        const site = this.#behindCall(last, constants);
        if (site !== undefined && this.#isWorth(site, entry, isHot)) sites.push(site);
      } else if (last.operation.name === 'return') for (const site of sites) offer(site);
    }
    for (const site of sites) offer(site);
    const blocks = list.flatMap((block): RegionBlock[] => {
      const known = lowered.get(block);
      if (known === undefined) return [];
      const edges = known.targets.map((links) => links.map((target) => target && { link: target.link, node: this.#node(nodes, lowered, target.block), rip: target.rip }));
      return [{ block, steps: known.steps, constants: known.constants, records: known.records, edges }];
    });
    const returns = sites.map((site) => this.#node(nodes, lowered, site)).filter((node) => node >= 0);
    return { blocks, returns: [...new Set(returns)] };
  }

  #node(nodes: ReadonlyMap<Block, number>, lowered: ReadonlyMap<Block, unknown>, block: Block | undefined): number {
    return block !== undefined && lowered.has(block) ? nodes.get(block)! : -1;
  }

  #isWorth(block: Block, entry: Block, isHot: (block: Block, heat: number) => boolean): boolean {
    if (block.dropped || block.system !== undefined || block.secondPage >= 0 || block.mode !== entry.mode) return false;
    return isHot(block, this.#i32[(block.address + BLOCK_HEAT_OFFSET) >> 2]!);
  }

  /** Where a link of a block leads now. */
  #follow(block: Block, link: number, target: number): Target {
    const to = this.#i32[link >> 2]!;
    const next = this.#cache.blockAt(to);
    if (next.address === to) return { link, block: next.dropped ? undefined : next, rip: NaN };
    // One of the block's own ways out. A jump goes through the jump cache.
    if ((this.#i32[(to + BLOCK_HEADER_SIZE) >> 2]! & 0xffff) !== JUMP.code) return { link, block: undefined, rip: NaN };
    const rip = block.targets[target]!;
    return { link, block: this.#inJumpCache(rip), rip };
  }

  #inJumpCache(rip: number): Block | undefined {
    const address = this.#jumps.find(rip);
    return address < 0 ? undefined : this.#cache.blockAt(address);
  }

  #behindCall(step: Step, constants: readonly number[]): Block | undefined {
    const slot = step.fields[1]!;
    if (slot >= 0) return undefined;
    const lo = constants[2 * (-1 - slot)]!;
    const hi = constants[2 * (-1 - slot) + 1]!;
    return this.#inJumpCache(hi * 2 ** 32 + (lo >>> 0));
  }
}

interface Target {
  readonly link: number;
  readonly block: Block | undefined;
  readonly rip: number;
}
