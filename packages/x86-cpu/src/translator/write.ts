import { ContextOffset, JUMP_CACHE_ENTRY_SIZE, StateOffset } from '../memory/layout.js';
import { Leave } from '../microop/accessors.js';
import { BLOCK_HEADER_SIZE } from '../microop/record.js';
import { jumpCacheSlot } from '../processor/jump-cache.js';
import { Ctl, I32, I64, Type } from '../wasm/opcodes.js';
import { WasmWriter } from '../wasm/writer.js';
import { I32_LOCALS_END, I64_LOCAL_COUNT, LOCALS, TranslatorAccessors } from './accessors.js';
import type { Ways } from './accessors.js';
import { analyze } from './control-flow.js';
import type { ControlFlow } from './control-flow.js';
import type { Edge, Region, RegionBlock } from './region.js';

const PARAMETERS = 2;
/** Function type of a translation in its module. */
export const FUNCTION_TYPE = 0;

/** A function's body: locals and code, and where in it the conditions are that hardly ever hold. */
export interface FunctionBody {
  readonly bytes: Uint8Array;
  readonly unlikely: readonly number[];
}

/**
 * Writes a region as one function: (context, tlb) → the record to go on with, or 0 with reason and position left in the state.
 * Blocks nest as they dominate each other: a block that several lead to stands behind a `block` that they branch out of, one that is led back to in a `loop`.
 */
export class RegionWriter implements Ways {
  readonly #region: Region;
  readonly #context: number;
  readonly #flow: ControlFlow;
  readonly #w = new WasmWriter(1 << 14);
  readonly #accessors: TranslatorAccessors;
  /** Depth inside the construct that a branch to a node names, for the nodes that have one now. */
  readonly #labels = new Map<number, number>();
  #node = 0;
  #step = 0;
  #outDepth = 0;

  constructor(region: Region, context: number) {
    this.#region = region;
    this.#context = context;
    this.#accessors = new TranslatorAccessors(this.#w, context, this);
    this.#flow = analyze(region.blocks.map((block) => this.#successors(block)));
  }

  /** Nodes that a block's code leads to, as often as it does. */
  #successors({ steps, edges }: RegionBlock): number[] {
    const found: number[] = [];
    steps.forEach(({ operation }, i) => {
      if (operation.fields.includes('t')) {
        const links = edges[i]!.filter((edge) => edge !== undefined);
        for (const { node } of links) if (node >= 0) found.push(node);
        // A repetition also ends before its first iteration.
        const last = links.at(-1)!;
        if (REPETITION.test(operation.name) && last.node >= 0) found.push(last.node);
      } else if (operation.terminal) found.push(...this.#region.returns);
    });
    return found;
  }

  get hasLoop(): boolean {
    return this.#flow.isLoop.includes(true);
  }

  write(): FunctionBody {
    const w = this.#w;
    w.block();
    this.#outDepth = w.depth;
    this.#tree(0);
    w.end();
    const whole = new WasmWriter(w.length + 1024);
    whole.u32(2).u32(I32_LOCALS_END - PARAMETERS).op(Type.i32).u32(I64_LOCAL_COUNT).op(Type.i64);
    this.#enter(whole);
    const before = whole.length;
    const unlikely = w.unlikely.map((offset) => offset + before);
    whole.append(w.bytes);
    this.#leave(whole);
    return { bytes: whole.bytes.slice(), unlikely: [...unlikely, ...whole.unlikely] };
  }

  /** From the state to the locals. */
  #enter(w: WasmWriter): void {
    const context = this.#context;
    for (const register of this.#accessors.used) w.i32(0).memory(I64.load, context + StateOffset.gpr + 8 * register).set(LOCALS.gpr + register);
    w.i32(0).memory(I64.load, context + StateOffset.flagA).set(LOCALS.flagA);
    w.i32(0).memory(I64.load, context + StateOffset.flagB).set(LOCALS.flagB);
    w.i32(0).memory(I32.load, context + StateOffset.flagKind).set(LOCALS.flagKind);
    w.i32(0).memory(I32.load, context + StateOffset.budget).set(LOCALS.budget);
  }

  /** Back to the state; then to the caller, with the first record of another block or with a reason. */
  #leave(w: WasmWriter): void {
    const context = this.#context;
    const budget = context + StateOffset.budget;
    for (const register of this.#accessors.changed) w.i32(0).get(LOCALS.gpr + register).memory(I64.store, context + StateOffset.gpr + 8 * register);
    w.i32(0).get(LOCALS.flagA).memory(I64.store, context + StateOffset.flagA);
    w.i32(0).get(LOCALS.flagB).memory(I64.store, context + StateOffset.flagB);
    w.i32(0).get(LOCALS.flagKind).memory(I32.store, context + StateOffset.flagKind);
    w.get(LOCALS.reason).op(I32.eqz).if();
    w.get(LOCALS.budget).get(LOCALS.position).memory(I32.load, 0).op(I32.sub).tee(LOCALS.n).i32(0).op(I32.ltS).ifUnlikely();
    w.i32(Leave.Budget).set(LOCALS.reason).else();
    w.i32(0).get(LOCALS.n).memory(I32.store, budget);
    w.get(LOCALS.position).i32(BLOCK_HEADER_SIZE).op(I32.add, Ctl.return).end().end();
    w.i32(0).get(LOCALS.budget).memory(I32.store, budget);
    w.i32(0).get(LOCALS.position).memory(I32.store, context + StateOffset.position);
    w.i32(0).get(LOCALS.reason).memory(I32.store, context + StateOffset.exitCode);
    w.i32(0).op(Ctl.end);
  }

  /** A node with everything that it dominates. */
  #tree(node: number): void {
    const w = this.#w;
    const joins = this.#flow.children[node]!.filter((child) => this.#flow.isJoin[child]);
    const isLoop = this.#flow.isLoop[node]!;
    if (isLoop) {
      w.loop();
      this.#labels.set(node, w.depth);
    }
    for (const join of joins.toReversed()) {
      w.block();
      this.#labels.set(join, w.depth);
    }
    this.#block(node);
    for (const join of joins) {
      w.end();
      this.#labels.delete(join);
      this.#tree(join);
    }
    if (isLoop) {
      w.end();
      this.#labels.delete(node);
    }
  }

  #block(node: number): void {
    const w = this.#w;
    const block = this.#region.blocks[node]!;
    const { count, address } = block.block;
    this.#accessors.forget();
    w.get(LOCALS.budget).i32(count).op(I32.sub).tee(LOCALS.budget).i32(0).op(I32.ltS).ifUnlikely();
    w.get(LOCALS.budget).i32(count).op(I32.add).set(LOCALS.budget);
    w.i32(Leave.Budget).set(LOCALS.reason).i32(address).set(LOCALS.position);
    this.out();
    w.end();
    for (let step = 0; step < block.steps.length; step++) {
      this.#node = node;
      this.#step = step;
      this.#accessors.emit(block, step);
    }
  }

  out(): void {
    this.#w.br(this.#w.depth - this.#outDepth);
  }

  /** To the block whose address is in `position`. */
  #goOn(): void {
    this.#w.i32(0).set(LOCALS.reason);
    this.out();
  }

  edge(field: number): void {
    this.#follow(this.#region.blocks[this.#node]!.edges[this.#step]![field]!);
  }

  #follow(edge: Edge): void {
    const w = this.#w;
    if (edge.node < 0 || !this.#flow.isStructured(this.#node, edge.node)) {
      w.i32(0).memory(I32.load, edge.link).set(LOCALS.position);
      this.#goOn();
      return;
    }
    if (!Number.isNaN(edge.rip)) {
      const entry = this.#context + ContextOffset.jumpCache + jumpCacheSlot(edge.rip) * JUMP_CACHE_ENTRY_SIZE;
      w.i32(0).memory(I64.load, entry).i64(edge.rip).op(I64.ne);
      w.i32(0).memory(I32.load, entry + 8).i32(this.#region.blocks[edge.node]!.block.address).op(I32.ne, I32.or).ifUnlikely();
      w.i32(0).memory(I32.load, edge.link).set(LOCALS.position);
      this.#goOn();
      w.end();
    }
    this.#to(edge.node);
  }

  /** To a node of the region, by a branch or by writing it here. */
  #to(node: number): void {
    const label = this.#labels.get(node);
    if (label !== undefined) {
      this.#w.br(this.#w.depth - label);
      return;
    }
    const [from, step] = [this.#node, this.#step];
    this.#tree(node);
    [this.#node, this.#step] = [from, step];
    this.#accessors.forget();
  }

  branch(taken: number, otherwise: number): void {
    const w = this.#w;
    const edge = this.#region.blocks[this.#node]!.edges[this.#step]![taken]!;
    const label = edge.node >= 0 && Number.isNaN(edge.rip) && this.#flow.isStructured(this.#node, edge.node) ? this.#labels.get(edge.node) : undefined;
    if (label !== undefined) w.brIf(w.depth - label);
    else {
      w.if();
      this.#follow(edge);
      w.end();
    }
    this.edge(otherwise);
  }

  found(): void {
    const w = this.#w;
    for (const node of this.#region.returns) {
      if (!this.#flow.isStructured(this.#node, node)) continue;
      w.get(LOCALS.position).i32(this.#region.blocks[node]!.block.address).op(I32.eq);
      const label = this.#labels.get(node);
      if (label !== undefined) {
        w.brIf(w.depth - label);
        continue;
      }
      w.if();
      this.#to(node);
      w.end();
    }
    this.#goOn();
  }
}

/** A repetition's last link is followed from two places. */
const REPETITION = /^rep/;
