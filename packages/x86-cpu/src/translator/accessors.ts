import { ContextOffset, StateOffset, TLB_ENTRIES, TLB_WRITE } from '../memory/layout.js';
import { Leave } from '../microop/accessors.js';
import type { Accessors, Temporaries } from '../microop/accessors.js';
import type { FlagKind, Size } from '../microop/flags.js';
import { flagCode } from '../microop/flags.js';
import { I32, I64 } from '../wasm/opcodes.js';
import type { Local, WasmWriter } from '../wasm/writer.js';
import { IMPORT, PROBE_WRITE } from '../interpreter/accessors.js';
import type { RegionBlock } from './region.js';

/** Local variables of a translation; the first two are its parameters. */
export const LOCALS = {
  context: 0,
  tlb: 1,
  /** Where to go on, or what happened where. */
  position: 2,
  host: 3,
  n: 4,
  /** Why it leaves: a `Leave`, or 0 to go on at the block in `position`. */
  reason: 5,
  budget: 6,
  flagKind: 7,
  a: 8,
  b: 9,
  c: 10,
  d: 11,
  r: 12,
  linear: 13,
  value: 14,
  flagA: 15,
  flagB: 16,
  gpr: 17,
  temporaries: 33,
} as const;
export const I32_LOCALS_END = 8;
export const I64_LOCAL_COUNT = 33;

const REGISTERS = 16;
const TEMPORARIES = 8;

const LOAD: Record<Size, number> = { 1: I64.load8U, 2: I64.load16U, 4: I64.load32U, 8: I64.load };
const STORE: Record<Size, number> = { 1: I64.store8, 2: I64.store16, 4: I64.store32, 8: I64.store };
const ALL: Record<Size, number> = { 1: 0xff, 2: 0xffff, 4: 0xffffffff, 8: -1 };

/** What the writer of a region does where control leaves a micro-operation. */
export interface Ways {
  /** Follows a link: the field of the step in hand. */
  edge(field: number): void;
  /** Follows a link if the i32 on the stack is not 0, else another. */
  branch(taken: number, otherwise: number): void;
  /** Goes on at the block whose address is in `position`, which the jump cache gave for a computed address. */
  found(): void;
  /** Out of the translation, with `position` and `reason` set. */
  out(): void;
}

/**
 * Operands as constants and local variables: registers, temporaries and lazy flags live in locals while a translation runs,
 * and everything else in the state, at addresses that are constants.
 */
export class TranslatorAccessors implements Accessors {
  readonly t: Temporaries = LOCALS;
  readonly w: WasmWriter;
  readonly #context: number;
  readonly #ways: Ways;
  /** Registers whose locals are used, and changed. */
  readonly used = new Set<number>();
  readonly changed = new Set<number>();
  #block!: RegionBlock;
  #step = 0;
  /** Depth where the operation in hand began: what is deeper may not happen. */
  #depth = 0;
  /** Locals whose upper half is 0. */
  readonly #short = new Set<Local>();
  /** The lazy flags' kind and size, if known. */
  #flags = -1;

  constructor(w: WasmWriter, context: number, ways: Ways) {
    this.w = w;
    this.#context = context;
    this.#ways = ways;
  }

  /** Nothing is known of the locals here: control may come from elsewhere. */
  forget(): void {
    this.#short.clear();
    this.#flags = -1;
  }

  /** Writes a step of a block. */
  emit(block: RegionBlock, step: number): void {
    // A transfer of control may write other blocks in the middle of this one.
    const [outerBlock, outerStep, outerDepth] = [this.#block, this.#step, this.#depth];
    this.#block = block;
    this.#step = step;
    this.#depth = this.w.depth;
    block.steps[step]!.operation.emit(this);
    this.#block = outerBlock;
    this.#step = outerStep;
    this.#depth = outerDepth;
  }

  get #fields(): readonly number[] {
    return this.#block.steps[this.#step]!.fields;
  }

  get record(): number {
    return this.#block.records[this.#step]!;
  }

  /** The local of a slot and how far up its bits are, or undefined for a slot in memory. */
  #local(slot: number): { local: Local; shift: number } | undefined {
    const offset = slot - this.#context;
    if (offset >= StateOffset.gpr && offset < StateOffset.gpr + 8 * REGISTERS) {
      const register = (offset - StateOffset.gpr) >> 3;
      this.used.add(register);
      return { local: LOCALS.gpr + register, shift: 8 * (offset & 7) };
    }
    if (offset >= StateOffset.temporaries && offset < StateOffset.temporaries + 8 * TEMPORARIES) {
      return { local: LOCALS.temporaries + ((offset - StateOffset.temporaries) >> 3), shift: 8 * (offset & 7) };
    }
    return undefined;
  }

  get(field: number, size: Size): void {
    const { w } = this;
    const value = this.#fields[field]!;
    if (this.#block.steps[this.#step]!.operation.fields[field] === 'k') {
      w.i64(size === 8 ? value : value >>> 0);
      return;
    }
    if (value < 0) {
      const { constants } = this.#block;
      const at = 2 * (-1 - value);
      if (size === 8) w.i64((BigInt(constants[at + 1]!) << 32n) | BigInt(constants[at]! >>> 0));
      else w.i64((constants[at]! & ALL[size]) >>> 0);
      return;
    }
    const place = this.#local(value);
    if (place === undefined) {
      w.i32(0).memory(LOAD[size], value);
      return;
    }
    w.get(place.local);
    if (place.shift > 0) w.i64(place.shift).op(I64.shrU);
    if (size === 8 || (size === 4 && this.#short.has(place.local))) return;
    w.i64(ALL[size]).op(I64.and);
  }

  set(field: number, size: Size, value: () => void): void {
    const { w } = this;
    const slot = this.#fields[field]!;
    const place = this.#local(slot);
    if (place === undefined) {
      w.i32(0);
      value();
      if (size === 4) w.i64(ALL[4]).op(I64.and);
      w.memory(size === 4 ? I64.store : STORE[size], slot);
      return;
    }
    const { local, shift } = place;
    value();
    if (size === 4) w.i64(ALL[4]).op(I64.and);
    else if (size < 4) {
      w.i64(ALL[size]).op(I64.and);
      if (shift > 0) w.i64(shift).op(I64.shl);
      w.get(local).i64(~(BigInt(ALL[size]) << BigInt(shift))).op(I64.and, I64.or);
    }
    w.set(local);
    if (local < LOCALS.temporaries) this.changed.add(local - LOCALS.gpr);
    if (size === 4 && this.w.depth === this.#depth) this.#short.add(local);
    else if (size >= 4) this.#short.delete(local);
  }

  immediate(field: number): void {
    this.w.i64(this.#fields[field]!);
  }

  flags(kind: FlagKind, size: Size, a: Local, b?: Local): void {
    const { w } = this;
    w.get(a).set(LOCALS.flagA);
    if (b !== undefined) w.get(b).set(LOCALS.flagB);
    const code = flagCode(kind, size);
    w.i32(code).set(LOCALS.flagKind);
    this.#flags = w.depth === this.#depth ? code : -1;
  }

  flagA(size: Size): void {
    this.w.get(LOCALS.flagA);
    if (size < 8) this.w.i64(ALL[size]).op(I64.and);
  }

  flagB(size: Size): void {
    this.w.get(LOCALS.flagB);
    if (size < 8) this.w.i64(ALL[size]).op(I64.and);
  }

  flagCode(): void {
    if (this.#flags >= 0) this.w.i32(this.#flags);
    else this.w.get(LOCALS.flagKind);
  }

  systemFlags(): void {
    this.w.i32(0).memory(I32.load, this.#context + StateOffset.systemFlags);
  }

  setSystemFlags(value: () => void): void {
    this.w.i32(0);
    value();
    this.w.memory(I32.store, this.#context + StateOffset.systemFlags);
  }

  /** Looks the linear address up in the TLB and opens an `if` for the miss, as the interpreter does. */
  #lookUp(size: Size, half: number, address: () => void): void {
    const { w } = this;
    address();
    w.tee(LOCALS.linear).wrap().i32(8).op(I32.shrU).i32((TLB_ENTRIES - 1) << 4).op(I32.and).get(LOCALS.tlb).op(I32.add);
    w.tee(LOCALS.host).memory(I64.load, half).get(LOCALS.linear);
    if (size > 1) w.i64(size - 1).op(I64.add);
    w.i64(-4096).op(I64.and, I64.ne).ifUnlikely();
    w.i32(0).get(LOCALS.linear).memory(I64.store, this.#context + StateOffset.accessAddress);
  }

  #mapped(half: number): void {
    this.w.get(LOCALS.linear).wrap().get(LOCALS.host).memory(I32.load, half + 8).op(I32.add);
  }

  #translate(size: Size, write: boolean, address: () => void): void {
    const { w } = this;
    const half = write ? TLB_WRITE : 0;
    this.#lookUp(size, half, address);
    w.i32(size | (write ? PROBE_WRITE : 0)).call(IMPORT.probe).tee(LOCALS.host).i32(-1).op(I32.eq).ifUnlikely();
    this.fault(Leave.Memory);
    w.end().else();
    this.#mapped(half);
    w.set(LOCALS.host).end();
  }

  load(size: Size, address: () => void): void {
    this.#translate(size, false, address);
    this.w.get(LOCALS.host).memory(LOAD[size], 0);
  }

  loadForWrite(size: Size, address: () => void): void {
    this.#translate(size, true, address);
    this.w.get(LOCALS.host).memory(LOAD[size], 0);
  }

  #putOrFault(size: Size): void {
    const { w } = this;
    w.i32(0).get(LOCALS.value).memory(I64.store, this.#context + StateOffset.accessValue);
    w.i32(size).call(IMPORT.put).ifUnlikely();
    this.fault(Leave.Memory);
    w.end();
  }

  store(size: Size, address: () => void, value: () => void): void {
    const { w } = this;
    value();
    w.set(LOCALS.value);
    this.#lookUp(size, TLB_WRITE, address);
    this.#putOrFault(size);
    w.else();
    this.#mapped(TLB_WRITE);
    w.get(LOCALS.value).memory(STORE[size], 0).end();
  }

  modify(size: Size, address: () => void, change: () => void): void {
    const { w } = this;
    this.#translate(size, true, address);
    w.get(LOCALS.host).memory(LOAD[size], 0);
    change();
    w.set(LOCALS.value);
    w.get(LOCALS.host).get(LOCALS.value).memory(STORE[size], 0);
    w.get(LOCALS.host).i32(this.#context + StateOffset.bounce).op(I32.eq).ifUnlikely();
    this.#putOrFault(size);
    w.end();
  }

  leave(reason: Leave): void {
    this.w.i32(reason).set(LOCALS.reason).i32(this.record).set(LOCALS.position);
    this.#ways.out();
  }

  fault(reason: Leave): void {
    this.leave(reason);
  }

  goto(field: number): void {
    this.#ways.edge(field);
  }

  branch(taken: number, otherwise: number): void {
    this.#ways.branch(taken, otherwise);
  }

  gotoAddress(): void {
    const { w } = this;
    const tag = this.#context + ContextOffset.jumpCache;
    w.tee(LOCALS.linear).wrap().tee(LOCALS.n).get(LOCALS.n).i32(12).op(I32.shrU, I32.xor);
    w.i32(0xfff).op(I32.and).i32(4).op(I32.shl).tee(LOCALS.n);
    w.memory(I64.load, tag).get(LOCALS.linear).op(I64.ne).ifUnlikely();
    w.i32(0).get(LOCALS.linear).memory(I64.store, this.#context + StateOffset.rip);
    this.leave(Leave.Jump);
    w.end();
    w.get(LOCALS.n).memory(I32.load, tag + 8).set(LOCALS.position);
    this.#ways.found();
  }

  /** The entry is counted no more. */
  count(): void {
    this.forget();
  }

  enterTranslation(): void {
    throw new Error('a translation does not enter itself');
  }
}
