import { ContextOffset, StateOffset, TLB_ENTRIES, TLB_WRITE } from '../memory/layout.js';
import { Leave } from '../microop/accessors.js';
import type { Accessors, MicroOp, Temporaries } from '../microop/accessors.js';
import type { FlagKind, Size } from '../microop/flags.js';
import { flagCode } from '../microop/flags.js';
import { BLOCK_HEADER_SIZE, BLOCK_HEAT_OFFSET, BLOCK_TRANSLATION_OFFSET, fieldOffset, recordSize } from '../microop/record.js';
import { Ctl, I32, I64 } from '../wasm/opcodes.js';
import type { Local, WasmWriter } from '../wasm/writer.js';

/** Local variables of every function of the interpreter; the first two or three are its parameters. */
export const LOCALS = {
  /** Start of the register context in memory. */
  context: 0,
  /** Start of the TLB bank in use. */
  tlb: 1,
  /** The record being executed. */
  position: 2,
  /** Byte in memory that an access goes to. */
  host: 3,
  n: 4,
  a: 6,
  b: 7,
  c: 8,
  d: 9,
  r: 10,
  /** Linear address of an access. */
  linear: 11,
  /** Value of a store. */
  value: 12,
} as const;

/** i32 locals from `position` or `host` up to 5, then seven i64. */
export const I32_LOCALS_END = 6;
export const I64_LOCAL_COUNT = 7;

/** Imported functions, by index. */
export const IMPORT = {
  /** (flags) → address of the byte in memory, or -1: translates the linear address left in the state. */
  probe: 0,
  /** (size) → 0, or -1: stores the value left in the state at the linear address left there. */
  put: 1,
} as const;

/** Function type of a translation: (context, tlb) → the next record, or 0 with the reason left in the state. */
export const TRANSLATION_TYPE = 1;
/** The table of translations, imported; the small functions are in the module's own table behind it. */
export const TRANSLATION_TABLE = 0;

/** In the flags of `probe`: the location will be written. */
export const PROBE_WRITE = 0x100;

const LOAD: Record<Size, number> = { 1: I64.load8U, 2: I64.load16U, 4: I64.load32U, 8: I64.load };
const STORE: Record<Size, number> = { 1: I64.store8, 2: I64.store16, 4: I64.store32, 8: I64.store };

/** How control leaves one operation for the next: in the switch by a branch, in a small function by returning. */
export interface Continuation {
  /** The position is at the next record. */
  next(w: WasmWriter): void;
  /** The position is set; back to the caller with a reason. */
  leave(w: WasmWriter, reason: Leave): void;
}

/** Operands read from records in memory, flags and budget kept in the state. */
export class InterpreterAccessors implements Accessors {
  readonly w: WasmWriter;
  readonly t: Temporaries = LOCALS;
  readonly #continuation: Continuation;
  #operation: MicroOp | undefined;

  constructor(w: WasmWriter, continuation: Continuation) {
    this.w = w;
    this.#continuation = continuation;
  }

  /** Writes the whole of an operation, up to and including the way to the next. */
  emit(operation: MicroOp): void {
    this.#operation = operation;
    operation.emit(this);
    if (operation.terminal) return;
    this.w.get(LOCALS.position).i32(recordSize(operation)).op(I32.add).set(LOCALS.position);
    this.#continuation.next(this.w);
  }

  #field(field: number): void {
    this.w.get(LOCALS.position).memory(I32.load, fieldOffset(field));
  }

  get(field: number, size: Size): void {
    if (this.#operation?.fields[field] === 'k') {
      this.w.get(LOCALS.position).memory(size === 8 ? I64.load32S : I64.load32U, fieldOffset(field));
      return;
    }
    this.#field(field);
    this.w.memory(LOAD[size], 0);
  }

  set(field: number, size: Size, value: () => void): void {
    this.#field(field);
    value();
    if (size === 4) this.w.i64(0xffffffff).op(I64.and);
    this.w.memory(size === 4 ? I64.store : STORE[size], 0);
  }

  immediate(field: number): void {
    this.w.get(LOCALS.position).memory(I64.load32S, fieldOffset(field));
  }

  flags(kind: FlagKind, size: Size, a: Local, b?: Local): void {
    const { w } = this;
    w.get(LOCALS.context).get(a).memory(I64.store, StateOffset.flagA);
    if (b !== undefined) w.get(LOCALS.context).get(b).memory(I64.store, StateOffset.flagB);
    w.get(LOCALS.context).i32(flagCode(kind, size)).memory(I32.store, StateOffset.flagKind);
  }

  flagA(size: Size): void {
    this.w.get(LOCALS.context).memory(LOAD[size], StateOffset.flagA);
  }

  flagB(size: Size): void {
    this.w.get(LOCALS.context).memory(LOAD[size], StateOffset.flagB);
  }

  flagCode(): void {
    this.w.get(LOCALS.context).memory(I32.load, StateOffset.flagKind);
  }

  systemFlags(): void {
    this.w.get(LOCALS.context).memory(I32.load, StateOffset.systemFlags);
  }

  setSystemFlags(value: () => void): void {
    this.w.get(LOCALS.context);
    value();
    this.w.memory(I32.store, StateOffset.systemFlags);
  }

  /** Looks the linear address up in the TLB and opens an `if` for the miss; `host` is the entry. An access that crosses pages misses. */
  #lookUp(size: Size, half: number, address: () => void): void {
    const { w } = this;
    address();
    w.tee(LOCALS.linear).wrap().i32(8).op(I32.shrU).i32((TLB_ENTRIES - 1) << 4).op(I32.and).get(LOCALS.tlb).op(I32.add);
    w.tee(LOCALS.host).memory(I64.load, half).get(LOCALS.linear);
    if (size > 1) w.i64(size - 1).op(I64.add);
    w.i64(-4096).op(I64.and, I64.ne).if();
    w.get(LOCALS.context).get(LOCALS.linear).memory(I64.store, StateOffset.accessAddress);
  }

  /** Pushes the byte in memory that the entry found by `#lookUp` maps the linear address to. */
  #mapped(half: number): void {
    this.w.get(LOCALS.linear).wrap().get(LOCALS.host).memory(I32.load, half + 8).op(I32.add);
  }

  /** Sets `host` to the byte to access. */
  #translate(size: Size, write: boolean, address: () => void): void {
    const { w } = this;
    const half = write ? TLB_WRITE : 0;
    this.#lookUp(size, half, address);
    w.i32(size | (write ? PROBE_WRITE : 0)).call(IMPORT.probe).tee(LOCALS.host).i32(-1).op(I32.eq).if();
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
    w.get(LOCALS.context).get(LOCALS.value).memory(I64.store, StateOffset.accessValue);
    w.i32(size).call(IMPORT.put).if();
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
    w.get(LOCALS.host).get(LOCALS.context).i32(StateOffset.bounce).op(I32.add, I32.eq).if();
    this.#putOrFault(size);
    w.end();
  }

  leave(reason: Leave): void {
    this.w.get(LOCALS.context).get(LOCALS.position).memory(I32.store, StateOffset.position);
    this.#continuation.leave(this.w, reason);
  }

  fault(reason: Leave): void {
    this.leave(reason);
  }

  /** Enters the block at `position`: charges its instructions, or leaves when they are too many. */
  #enter(): void {
    const { w } = this;
    const budget = StateOffset.budget;
    w.get(LOCALS.context).get(LOCALS.context).memory(I32.load, budget).get(LOCALS.position).memory(I32.load, 0).op(I32.sub);
    w.tee(LOCALS.n).memory(I32.store, budget).get(LOCALS.n).i32(0).op(I32.ltS).if();
    w.get(LOCALS.context).get(LOCALS.n).get(LOCALS.position).memory(I32.load, 0).op(I32.add).memory(I32.store, budget);
    this.leave(Leave.Budget);
    w.end();
    w.get(LOCALS.position).i32(BLOCK_HEADER_SIZE).op(I32.add).set(LOCALS.position);
    this.#continuation.next(w);
  }

  goto(field: number): void {
    this.#field(field);
    this.w.set(LOCALS.position);
    this.#enter();
  }

  branch(taken: number, otherwise: number): void {
    this.w.if();
    this.goto(taken);
    this.w.end();
    this.goto(otherwise);
  }

  gotoAddress(): void {
    const { w } = this;
    const tag = ContextOffset.jumpCache;
    w.tee(LOCALS.linear).wrap().tee(LOCALS.n).get(LOCALS.n).i32(12).op(I32.shrU, I32.xor);
    w.i32(0xfff).op(I32.and).i32(4).op(I32.shl).get(LOCALS.context).op(I32.add).tee(LOCALS.n);
    w.memory(I64.load, tag).get(LOCALS.linear).op(I64.ne).if();
    w.get(LOCALS.context).get(LOCALS.linear).memory(I64.store, StateOffset.rip);
    this.leave(Leave.Jump);
    w.end();
    w.get(LOCALS.n).memory(I32.load, tag + 8).set(LOCALS.position);
    this.#enter();
  }

  count(): void {
    const { w } = this;
    w.get(LOCALS.position).i32(BLOCK_HEADER_SIZE - BLOCK_HEAT_OFFSET).op(I32.sub).tee(LOCALS.host).get(LOCALS.host).memory(I32.load, 0);
    w.i32(1).op(I32.sub).tee(LOCALS.n).memory(I32.store, 0).get(LOCALS.n).op(I32.eqz).if();
    this.leave(Leave.Hot);
    w.end();
  }

  enterTranslation(): void {
    const { w } = this;
    // From one translation to the next, until a record is one of another kind.
    w.loop();
    w.get(LOCALS.context).get(LOCALS.tlb).get(LOCALS.position).i32(BLOCK_HEADER_SIZE - BLOCK_TRANSLATION_OFFSET).op(I32.sub).memory(I32.load, 0);
    w.op(Ctl.callIndirect).u32(TRANSLATION_TYPE).u32(TRANSLATION_TABLE).tee(LOCALS.position).if();
    w.get(LOCALS.position).memory(I32.load16U, 0).i32(this.#operation!.code).op(I32.eq).brIf(1).end().end();
    w.get(LOCALS.position).op(Ctl.return);
  }
}

/** Ends a function that has returned on every path. */
export function endFunction(w: WasmWriter): void {
  w.op(Ctl.unreachable, Ctl.end);
}
