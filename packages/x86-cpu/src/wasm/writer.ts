import { Ctl, I32, I64, Section, Type } from './opcodes.js';

/** An index of a local variable in the function being written, below 128. */
export type Local = number;

/**
 * Grows a run of WebAssembly bytes. Methods return the writer, so that a run of instructions reads from left to right as
 * the stack machine sees it. It knows nesting depth, because a branch names its target by distance.
 */
export class WasmWriter {
  #bytes: Uint8Array;
  #length = 0;
  /** Where the conditions are that hardly ever hold: offsets of `if` and `br_if` instructions. */
  readonly unlikely: number[] = [];
  /** Open `block`, `loop` and `if` constructs. */
  depth = 0;

  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
  }

  /** Starts over, keeping the room. */
  clear(): void {
    this.#length = 0;
    this.depth = 0;
    this.unlikely.length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** The bytes written so far; valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  /** Appends plain bytes, such as instructions without immediates. Fixed parameters: this is called tens of thousands of times. */
  op(first: number, second = -1, third = -1, fourth = -1): this {
    this.#room(4);
    const bytes = this.#bytes;
    bytes[this.#length++] = first;
    if (second >= 0) bytes[this.#length++] = second;
    if (third >= 0) bytes[this.#length++] = third;
    if (fourth >= 0) bytes[this.#length++] = fourth;
    return this;
  }

  append(other: Uint8Array): this {
    this.#room(other.length);
    this.#bytes.set(other, this.#length);
    this.#length += other.length;
    return this;
  }

  /** Unsigned LEB128 of a 32-bit value. */
  u32(value: number): this {
    this.#room(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** Signed LEB128 of an integer that a number holds exactly. */
  #signed(value: number): this {
    this.#room(10);
    if (value >= -64 && value < 64) {
      this.#bytes[this.#length++] = value & 0x7f;
      return this;
    }
    let rest = value;
    for (;;) {
      const low = ((rest % 128) + 128) % 128;
      rest = Math.floor(rest / 128);
      if ((rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)) {
        this.#bytes[this.#length++] = low;
        return this;
      }
      this.#bytes[this.#length++] = low | 0x80;
    }
  }

  #signedBig(value: bigint): this {
    this.#room(10);
    let rest = value;
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40)) {
        this.#bytes[this.#length++] = low;
        return this;
      }
      this.#bytes[this.#length++] = low | 0x80;
    }
  }

  name(text: string): this {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.op(text.charCodeAt(i));
    return this;
  }

  i32(value: number): this {
    return this.op(0x41).#signed(value | 0);
  }

  /** An i64 constant; a number must be an exact integer. */
  i64(value: number | bigint): this {
    this.op(0x42);
    return typeof value === 'number' ? this.#signed(value) : this.#signedBig(BigInt.asIntN(64, value));
  }

  get(local: Local): this {
    return this.op(0x20, local);
  }

  set(local: Local): this {
    return this.op(0x21, local);
  }

  tee(local: Local): this {
    return this.op(0x22, local);
  }

  /** A load or store instruction with its static offset; alignment is left unstated. */
  memory(code: number, offset: number): this {
    return this.op(code, 0).u32(offset);
  }

  /** `if` with no result; the condition is on the stack. */
  if(): this {
    this.depth++;
    return this.op(Ctl.if, Type.void);
  }

  /** `if` whose condition hardly ever holds. */
  ifUnlikely(): this {
    this.unlikely.push(this.#length);
    return this.if();
  }

  /** `if` with an i64 or i32 result. */
  ifValue(type: number): this {
    this.depth++;
    return this.op(Ctl.if, type);
  }

  else(): this {
    return this.op(Ctl.else);
  }

  block(): this {
    this.depth++;
    return this.op(Ctl.block, Type.void);
  }

  loop(): this {
    this.depth++;
    return this.op(Ctl.loop, Type.void);
  }

  end(): this {
    this.depth--;
    return this.op(Ctl.end);
  }

  br(distance: number): this {
    return this.op(Ctl.br).u32(distance);
  }

  brIf(distance: number): this {
    return this.op(Ctl.brIf).u32(distance);
  }

  call(functionIndex: number): this {
    return this.op(Ctl.call).u32(functionIndex);
  }

  /** Wraps the i64 on the stack to i32. */
  wrap(): this {
    return this.op(I32.wrapI64);
  }

  /** Zero-extends the i32 on the stack. */
  extend(): this {
    return this.op(I64.extendI32U);
  }
}

/** Appends a section whose contents `fill` writes. */
export function writeSection(module: WasmWriter, id: number, fill: (contents: WasmWriter) => void): void {
  const contents = new WasmWriter(id === Section.code ? 1 << 18 : 256);
  fill(contents);
  module.op(id).u32(contents.length).append(contents.bytes);
}

/** A module's preamble: magic and version 1. */
export function startModule(): WasmWriter {
  return new WasmWriter(1 << 18).op(0, 0x61, 0x73, 0x6d).op(1, 0, 0, 0);
}
