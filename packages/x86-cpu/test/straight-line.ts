import type { BlockBuilder } from '../src/lower/index.js';
import { StateOffset, TLB_ENTRIES, TLB_WRITE } from '../src/memory/layout.js';
import { Leave } from '../src/microop/accessors.js';
import type { Accessors, Temporaries } from '../src/microop/accessors.js';
import type { FlagKind, Size } from '../src/microop/flags.js';
import { flagCode } from '../src/microop/flags.js';
import type { Step } from '../src/code/block.js';
import { Ctl, I32, I64, Section, Type } from '../src/wasm/opcodes.js';
import { startModule, WasmWriter, writeSection } from '../src/wasm/writer.js';
import type { Local } from '../src/wasm/writer.js';

/** Local variables: two parameters, i32 scratch, i64 scratch, then a local for each register and temporary. */
const CONTEXT = 0;
const TLB = 1;
const HOST = 2;
const N = 3;
const LINEAR = 9;
const VALUE = 10;
const SLOTS = 11;
const SLOT_COUNT = 24;
const T: Temporaries = { n: N, a: 4, b: 5, c: 6, d: 7, r: 8 };

const PROBE = 0;
const PUT = 1;
const PROBE_WRITE = 0x100;

const LOAD: Record<Size, number> = { 1: I64.load8U, 2: I64.load16U, 4: I64.load32U, 8: I64.load };
const STORE: Record<Size, number> = { 1: I64.store8, 2: I64.store16, 4: I64.store32, 8: I64.store };

/**
 * A block laid out in a row: immediates and constants are constants of the code, registers and temporaries are locals,
 * brought from the state at the start and taken back on every way out. What a translator of hot regions will do, at its
 * simplest: it shows that the descriptions of micro-operations carry it.
 */
class StraightLine implements Accessors {
  readonly w = new WasmWriter();
  readonly t = T;
  readonly #builder: BlockBuilder;
  readonly #slotsAt: number;
  readonly #rip: number;
  #step!: Step;
  /** Address of the instruction in hand. */
  #at = 0;

  constructor(builder: BlockBuilder, context: number, rip: number) {
    this.#builder = builder;
    this.#slotsAt = context;
    this.#rip = rip;
  }

  emitAll(starts: readonly number[]): void {
    this.w.loop();
    for (const step of this.#builder.steps) {
      this.#step = step;
      this.#at = this.#rip + starts[step.instruction]!;
      step.operation.emit(this);
    }
    this.#leaveAt(this.#rip + starts.at(-1)!, Leave.Short);
    this.w.end().op(Ctl.unreachable, Ctl.end);
  }

  #slotLocal(index: number): Local {
    return SLOTS + index;
  }

  /** The local and the bit offset of a slot, or undefined if it is elsewhere in the state. */
  #localOf(slot: number): { local: Local; shift: number } | undefined {
    const offset = slot - this.#slotsAt;
    const index = offset < StateOffset.rip ? offset >> 3 : 16 + ((offset - StateOffset.temporaries) >> 3);
    return index < SLOT_COUNT ? { local: this.#slotLocal(index), shift: 8 * (offset & 7) } : undefined;
  }

  bringIn(): void {
    this.#eachSlot((local, offset) => this.w.get(CONTEXT).memory(I64.load, offset).set(local));
  }

  #eachSlot(use: (local: Local, offset: number) => void): void {
    for (let i = 0; i < SLOT_COUNT; i++) use(this.#slotLocal(i), i < 16 ? StateOffset.gpr + 8 * i : StateOffset.temporaries + 8 * (i - 16));
  }

  #leaveAt(rip: number, reason: number): void {
    const { w } = this;
    this.#eachSlot((local, offset) => w.get(CONTEXT).get(local).memory(I64.store, offset));
    w.get(CONTEXT).i64(rip).memory(I64.store, StateOffset.rip).i32(reason).op(Ctl.return);
  }

  get(field: number, size: Size): void {
    const { w } = this;
    const value = this.#step.fields[field]!;
    if (this.#step.operation.fields[field] === 'k') {
      w.i64(size === 8 ? value : value >>> 0);
      return;
    }
    if (value < 0) {
      const at = 2 * (-1 - value);
      const { constants } = this.#builder;
      const whole = (BigInt(constants[at + 1]!) << 32n) | BigInt(constants[at]! >>> 0);
      w.i64(size === 8 ? whole : BigInt.asUintN(8 * size, whole));
      return;
    }
    const place = this.#localOf(value);
    if (place === undefined) {
      w.i32(value).memory(LOAD[size], 0);
      return;
    }
    w.get(place.local);
    if (place.shift > 0) w.i64(place.shift).op(I64.shrU);
    if (size < 8) w.i64(2 ** (8 * size) - 1).op(I64.and);
  }

  set(field: number, size: Size, value: () => void): void {
    const { w } = this;
    const place = this.#localOf(this.#step.fields[field]!)!;
    value();
    if (size === 4) w.i64(0xffffffff).op(I64.and);
    if (size < 4) {
      const mask = 2n ** BigInt(8 * size) - 1n;
      w.i64(mask).op(I64.and).i64(place.shift).op(I64.shl);
      w.get(place.local).i64(~(mask << BigInt(place.shift))).op(I64.and, I64.or);
    }
    w.set(place.local);
  }

  immediate(field: number): void {
    this.w.i64(this.#step.fields[field]!);
  }

  flags(kind: FlagKind, size: Size, a: Local, b?: Local): void {
    const { w } = this;
    w.get(CONTEXT).get(a).memory(I64.store, StateOffset.flagA);
    if (b !== undefined) w.get(CONTEXT).get(b).memory(I64.store, StateOffset.flagB);
    w.get(CONTEXT).i32(flagCode(kind, size)).memory(I32.store, StateOffset.flagKind);
  }

  flagA(size: Size): void {
    this.w.get(CONTEXT).memory(LOAD[size], StateOffset.flagA);
  }

  flagB(size: Size): void {
    this.w.get(CONTEXT).memory(LOAD[size], StateOffset.flagB);
  }

  flagCode(): void {
    this.w.get(CONTEXT).memory(I32.load, StateOffset.flagKind);
  }

  systemFlags(): void {
    this.w.get(CONTEXT).memory(I32.load, StateOffset.systemFlags);
  }

  setSystemFlags(value: () => void): void {
    this.w.get(CONTEXT);
    value();
    this.w.memory(I32.store, StateOffset.systemFlags);
  }

  /** Sets HOST to the byte to access, through the TLB. */
  #translate(size: Size, write: boolean, address: () => void): void {
    const { w } = this;
    const half = write ? TLB_WRITE : 0;
    address();
    w.tee(LINEAR).wrap().i32(8).op(I32.shrU).i32((TLB_ENTRIES - 1) << 4).op(I32.and).get(TLB).op(I32.add);
    w.tee(HOST).memory(I64.load, half).get(LINEAR).i64(size - 1).op(I64.add).i64(-4096).op(I64.and, I64.ne).if();
    w.get(CONTEXT).get(LINEAR).memory(I64.store, StateOffset.accessAddress);
    w.i32(size | (write ? PROBE_WRITE : 0)).call(PROBE).tee(HOST).i32(-1).op(I32.eq).if();
    this.fault(Leave.Memory);
    w.end().else().get(LINEAR).wrap().get(HOST).memory(I32.load, half + 8).op(I32.add).set(HOST).end();
  }

  load(size: Size, address: () => void): void {
    this.#translate(size, false, address);
    this.w.get(HOST).memory(LOAD[size], 0);
  }

  loadForWrite(size: Size, address: () => void): void {
    this.#translate(size, true, address);
    this.w.get(HOST).memory(LOAD[size], 0);
  }

  store(size: Size, address: () => void, value: () => void): void {
    this.modify(size, address, () => {
      this.w.op(Ctl.drop);
      value();
    });
  }

  modify(size: Size, address: () => void, change: () => void): void {
    const { w } = this;
    this.#translate(size, true, address);
    w.get(HOST).memory(LOAD[size], 0);
    change();
    w.set(VALUE).get(HOST).get(VALUE).memory(STORE[size], 0);
    w.get(HOST).get(CONTEXT).i32(StateOffset.bounce).op(I32.add, I32.eq).if();
    w.get(CONTEXT).get(VALUE).memory(I64.store, StateOffset.accessValue).i32(size).call(PUT).if();
    this.fault(Leave.Memory);
    w.end().end();
  }

  fault(reason: Leave): void {
    this.#leaveAt(this.#at, reason);
  }

  leave(reason: Leave): void {
    this.#leaveAt(this.#at, reason);
  }

  goto(field: number): void {
    const target = this.#builder.targets[this.#step.fields[field]!]!;
    if (target === this.#rip) this.w.br(this.w.depth - 1);
    else this.#leaveAt(target, Leave.Unlinked);
  }

  branch(taken: number, otherwise: number): void {
    this.w.if();
    this.goto(taken);
    this.w.end();
    this.goto(otherwise);
  }

  gotoAddress(): void {
    const { w } = this;
    w.set(LINEAR);
    this.#eachSlot((local, offset) => w.get(CONTEXT).get(local).memory(I64.store, offset));
    w.get(CONTEXT).get(LINEAR).memory(I64.store, StateOffset.rip).i32(Leave.Jump).op(Ctl.return);
  }
}

/** The bytes of a module whose `run(context, tlb)` executes a block once; imports as the interpreter's. */
export function translate(builder: BlockBuilder, context: number, rip: number, starts: readonly number[]): Uint8Array {
  const line = new StraightLine(builder, context, rip);
  line.bringIn();
  line.emitAll(starts);
  const module = startModule();
  writeSection(module, Section.type, (w) => {
    w.u32(2).op(Type.func).u32(1).op(Type.i32).u32(1).op(Type.i32);
    w.op(Type.func).u32(2).op(Type.i32, Type.i32).u32(1).op(Type.i32);
  });
  writeSection(module, Section.import, (w) => {
    w.u32(3).name('m').name('memory').op(2, 1).u32(1).u32(65536);
    w.name('m').name('probe').op(0).u32(0).name('m').name('put').op(0).u32(0);
  });
  writeSection(module, Section.function, (w) => w.u32(1).u32(1));
  writeSection(module, Section.export, (w) => w.u32(1).name('run').op(0).u32(2));
  writeSection(module, Section.code, (w) => {
    const body = new WasmWriter();
    body.u32(2).u32(2).op(Type.i32).u32(SLOTS + SLOT_COUNT - 4).op(Type.i64).append(line.w.bytes);
    w.u32(1).u32(body.length).append(body.bytes);
  });
  return module.bytes;
}

