/**
 * Registers as hardware keeps them in memory: a VMSA, the area a VM entry loads from. Loading and storing them is most of what an entry and an exit do, so
 * it is generated code: straight, in the platform's own words.
 */
import type { Processor } from '../contract.js';
import { spaceOf } from '../memory/machine-memory.js';
import type { MachineMemory } from '../memory/machine-memory.js';
import { I32, I64, Section, Type, V128 } from '../wasm/opcodes.js';
import { compileModule, instantiate } from '../wasm/platform.js';
import type { PlatformModule } from '../wasm/platform.js';
import { WasmWriter, startModule, writeSection } from '../wasm/writer.js';

/** Bits of a 32-bit word that lie elsewhere in the other word: `mask` as in the image, `shift` to the left on the way into the state. */
export interface ImageBits {
  readonly mask: number;
  readonly shift: number;
}

/** Where a register, or several in a row, lie in an image and in the processor's state (`stateLayout`), in bytes. */
export interface ImageField {
  readonly image: number;
  readonly state: number;
  readonly bytes: number;
  /** `load` tells of a change to it. */
  readonly watched?: boolean;
  /** Only with 16 bytes, the size of a segment: what of the first four goes where. Bits of no mask become 0. */
  readonly bits?: readonly ImageBits[];
}

/** One image and one processor. */
export interface RegisterImage {
  /** From the image into the processor's state. True when a watched field changed. */
  load(): boolean;
  /** From the state into the image. */
  store(): void;
}

interface Copies {
  /** Addresses in the memory; not 0 when a watched field changed. */
  load(image: number, state: number): number;
  store(image: number, state: number): void;
}

/** Locals of both functions, those of `load` alone, and then the masks. */
const IMAGE = 0;
const STATE = 1;
/** Any bit that differs. */
const CHANGES = 2;
const VALUE = 3;
const WIDE_CHANGES = 4;
const WIDE_VALUE = 5;
const FIRST_MASK = 6;

const VECTOR_BYTES = 16;
/** Sizes to copy in, the largest first. */
const SIZES = [
  { bytes: VECTOR_BYTES, load: V128.load, store: V128.store },
  { bytes: 8, load: I64.load, store: I64.store },
  { bytes: 4, load: I64.load32U, store: I64.store32 },
  { bytes: 2, load: I64.load16U, store: I64.store16 },
  { bytes: 1, load: I64.load8U, store: I64.store8 },
] as const;
type Size = (typeof SIZES)[number];

/** Modules by the fields they were made of: every processor of a machine has the same. */
const modules = new WeakMap<readonly ImageField[], PlatformModule>();

/**
 * The image at the start of `page`, a host page of the processor's memory. Throws RangeError when the page is of another memory, a field does not end
 * within the page and the state, or one with `bits` is not 16 bytes.
 */
export function createRegisterImage(memory: MachineMemory, processor: Pick<Processor, 'bytes'>, page: Uint8Array, fields: readonly ImageField[]): RegisterImage {
  const { platform } = spaceOf(memory);
  const { bytes } = processor;
  if (page.buffer !== platform.buffer || bytes.buffer !== platform.buffer) throw new RangeError('a register image lies in the memory of its processor');
  for (const { image, state, bytes: size, bits } of fields) {
    if (bits !== undefined && size !== VECTOR_BYTES) throw new RangeError(`bits move in a field of ${VECTOR_BYTES} bytes, not of ${size}`);
    if (image + size > page.length || state + size > bytes.length) throw new RangeError(`${size} bytes at ${image} of a register image do not fit`);
  }
  let module = modules.get(fields);
  if (module === undefined) modules.set(fields, (module = compileModule(generate(fields))));
  const { load, store } = instantiate(module, { m: { memory: platform } }) as unknown as Copies;
  const image = page.byteOffset;
  const state = bytes.byteOffset;
  return {
    load: () => load(image, state) !== 0,
    store: () => store(image, state),
  };
}

function generate(fields: readonly ImageField[]): Uint8Array {
  const runs = joined(fields);
  const module = startModule();
  writeSection(module, Section.type, (w) => w.u32(2).op(Type.func).u32(2).op(Type.i32, Type.i32).u32(1).op(Type.i32).op(Type.func).u32(2).op(Type.i32, Type.i32).u32(0));
  writeSection(module, Section.import, (w) => w.u32(1).name('m').name('memory').op(0x02, 0x00).u32(1));
  writeSection(module, Section.function, (w) => w.u32(2).u32(0).u32(1));
  writeSection(module, Section.export, (w) => w.u32(2).name('load').op(0).u32(0).name('store').op(0).u32(1));
  writeSection(module, Section.code, (w) => {
    w.u32(2);
    for (const body of [loadBody(runs), storeBody(runs)]) w.u32(body.length).append(body.bytes);
  });
  return module.bytes;
}

/** Fields that follow each other in both places are one. */
function joined(fields: readonly ImageField[]): readonly ImageField[] {
  const runs: ImageField[] = [];
  for (const field of fields) {
    const last = runs.at(-1);
    const follows = last !== undefined && field.bits === undefined && last.bits === undefined && field.watched === last.watched;
    if (follows && last.image + last.bytes === field.image && last.state + last.bytes === field.state) {
      runs[runs.length - 1] = { ...last, bytes: last.bytes + field.bytes };
    } else {
      runs.push(field);
    }
  }
  return runs;
}

/** `each` is called for every piece to copy at once, with its distance from the field's start. */
function pieces({ bytes }: ImageField, each: (at: number, size: Size) => void): void {
  let at = 0;
  for (const size of SIZES) {
    for (; bytes - at >= size.bytes; at += size.bytes) each(at, size);
  }
}

/** A load or store; vector instructions have a prefix. */
function access(w: WasmWriter, code: number, offset: number): WasmWriter {
  return code === V128.load || code === V128.store ? w.op(V128.prefix).memory(code, offset) : w.memory(code, offset);
}

/** The bits that move by one distance, and the local that has them set. */
interface Move {
  readonly shift: number;
  readonly mask: number;
  readonly local: number;
}

/** By a field's `bits`. Whole words behind the first move by nothing. */
function movesOf(fields: readonly ImageField[]): ReadonlyMap<readonly ImageBits[], readonly Move[]> {
  const moves = new Map<readonly ImageBits[], readonly Move[]>();
  let local = FIRST_MASK;
  for (const { bits } of fields) {
    if (bits === undefined || moves.has(bits)) continue;
    const masks = new Map([[0, 0]]);
    for (const { mask, shift } of bits) masks.set(shift, (masks.get(shift) ?? 0) | mask);
    moves.set(bits, Array.from(masks, ([shift, mask]) => ({ shift, mask, local: local++ })));
  }
  return moves;
}

/** The start of a function: its locals, the masks in place. */
function startBody(moves: readonly Move[]): WasmWriter {
  const w = new WasmWriter().u32(2).u32(WIDE_CHANGES - CHANGES).op(Type.i64).u32(FIRST_MASK - WIDE_CHANGES + moves.length).op(Type.v128);
  for (const { shift, mask, local } of moves) {
    w.op(V128.prefix, V128.const).append(new Uint8Array(Uint32Array.of(mask, ...new Array<number>(3).fill(shift === 0 ? ~0 : 0)).buffer)).set(local);
  }
  return w;
}

/** Leaves the 16 bytes at `offset` on the stack, bits of the first word moved towards the state or back. */
function moveBits(w: WasmWriter, base: number, offset: number, moves: readonly Move[], back: boolean): void {
  const shiftBy = (shift: number, code: number): void => {
    if (shift !== 0) w.i32(shift).op(V128.prefix).u32(code);
  };
  for (const [index, { shift, local }] of moves.entries()) {
    access(w.get(base), V128.load, offset);
    if (back) shiftBy(shift, V128.i32x4ShrU);
    w.get(local).op(V128.prefix, V128.and);
    if (!back) shiftBy(shift, V128.i32x4Shl);
    if (index > 0) w.op(V128.prefix, V128.or);
  }
}

function loadBody(fields: readonly ImageField[]): WasmWriter {
  const moves = movesOf(fields);
  const w = startBody([...moves.values()].flat());
  for (const field of fields) {
    const { image, state, watched, bits } = field;
    pieces(field, (at, { load, store, bytes }) => {
      w.get(STATE);
      if (bits === undefined) access(w.get(IMAGE), load, image + at);
      else moveBits(w, IMAGE, image, moves.get(bits)!, false);
      if (watched === true) {
        if (bytes === VECTOR_BYTES) access(w.tee(WIDE_VALUE).get(WIDE_CHANGES).get(STATE), load, state + at).get(WIDE_VALUE).op(V128.prefix, V128.xor).op(V128.prefix, V128.or).set(WIDE_CHANGES);
        else access(w.tee(VALUE).get(CHANGES).get(STATE), load, state + at).get(VALUE).op(I64.xor, I64.or).set(CHANGES);
      }
      access(w, store, state + at);
    });
  }
  return w.get(CHANGES).i64(0).op(I64.ne).get(WIDE_CHANGES).op(V128.prefix, V128.anyTrue).op(I32.or, 0x0b);
}

function storeBody(fields: readonly ImageField[]): WasmWriter {
  const moves = movesOf(fields);
  const w = startBody([...moves.values()].flat());
  for (const field of fields) {
    const { image, state, bits } = field;
    pieces(field, (at, { load, store }) => {
      w.get(IMAGE);
      if (bits === undefined) access(w.get(STATE), load, state + at);
      else moveBits(w, STATE, state, moves.get(bits)!, true);
      access(w, store, image + at);
    });
  }
  return w.op(0x0b);
}
