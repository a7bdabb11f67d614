import { Segment } from '../memory/layout.js';
import { PageAccess } from '../paging/index.js';
import type { Core } from './core.js';
import { Vector } from './fault.js';
import { Attribute, highHalf, isCanonical, lowHalf } from './registers.js';
import { boundsOf } from './segment-bounds.js';
import type { Descriptor } from './segmentation.js';

const RSP = 4;
const TWO_32 = 2 ** 32;

/**
 * A stack as an instruction or a delivery works on it: the pointer moves here first, and in the register only with `commit`, when nothing can fault any
 * more. Limit violations are #SS with the error code given.
 */
export class Stack {
  readonly #core: Core;
  /** The pointer: an offset in SS. */
  offset = 0;
  #width: 2 | 4 | 8 = 8;
  #base = 0;
  #attributes = 0;
  #limit = 0;
  #access = 0;
  #errorCode = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Begins with the current SS and rSP. */
  open(errorCode = 0): this {
    const { registers, mode } = this.#core;
    this.#width = mode.stackSize;
    this.#base = registers.base(Segment.ss) >>> 0;
    this.#attributes = registers.attributes(Segment.ss);
    this.#limit = registers.limit(Segment.ss);
    this.#access = this.#core.mmu.mode;
    this.#errorCode = errorCode;
    this.offset = this.#cut(registers.gpr(RSP));
    return this;
  }

  /** Begins on a stack of 64-bit mode at a privilege level. */
  openLong(offset: number, cpl: number, errorCode: number): this {
    this.#width = 8;
    this.#access = cpl === 3 ? PageAccess.User : 0;
    this.#errorCode = errorCode;
    this.offset = offset;
    return this;
  }

  /** Begins on a stack in a segment that has not been loaded yet. */
  openIn(segment: Descriptor, offset: number, cpl: number, errorCode: number): this {
    this.#width = segment.attributes & Attribute.db ? 4 : 2;
    this.#base = segment.baseLo >>> 0;
    this.#attributes = segment.attributes;
    this.#limit = segment.limit >>> 0;
    this.#access = cpl === 3 ? PageAccess.User : 0;
    this.#errorCode = errorCode;
    this.offset = this.#cut(offset);
    return this;
  }

  #cut(offset: number): number {
    if (this.#width === 8) return offset;
    return this.#width === 4 ? offset >>> 0 : offset & 0xffff;
  }

  #linear(offset: number, size: number, write: boolean): number {
    if (this.#width === 8) {
      if (!isCanonical(offset) || !isCanonical(offset + size - 1)) this.#core.raise(Vector.ss, this.#errorCode);
      return offset;
    }
    const { low, high } = boundsOf(this.#attributes, this.#limit, write, this.#core.registers.isReal);
    if (offset < low || offset + size - 1 > high) this.#core.raise(Vector.ss, this.#errorCode);
    return (this.#base + offset) % TWO_32;
  }

  push(size: number, lo: number, hi = 0): void {
    this.offset = this.#cut(this.offset - size);
    this.#core.writeSized(this.#linear(this.offset, size, true), size, lo, hi, this.#access);
  }

  pushNumber(size: number, value: number): void {
    this.push(size, lowHalf(value), highHalf(value));
  }

  /** Leaves what was popped in `Core.lo` and `hi`. */
  pop(size: number): void {
    this.#core.readSized(this.#linear(this.offset, size, false), size, this.#access);
    this.release(size);
  }

  /** Pops the low half. */
  popLow(size: number): number {
    this.pop(size);
    return this.#core.lo;
  }

  /** Moves the pointer over `bytes`. */
  release(bytes: number): void {
    this.offset = this.#cut(this.offset + bytes);
  }

  /**
   * Room for `bytes` to be pushed at once on a stack of 64-bit mode: the pointer moves, and the word in memory where they begin is returned. −1, and nothing
   * moves, where they have to be pushed one by one.
   */
  pushInPlace(bytes: number): number {
    const word = this.#inPlace(this.offset - bytes, bytes, this.#access | PageAccess.Write);
    if (word >= 0) this.offset -= bytes;
    return word;
  }

  /** The same for `bytes` to be popped. */
  popInPlace(bytes: number): number {
    const word = this.#inPlace(this.offset, bytes, this.#access);
    if (word >= 0) this.offset += bytes;
    return word;
  }

  #inPlace(offset: number, bytes: number, access: number): number {
    if (this.#width !== 8 || !isCanonical(offset) || !isCanonical(offset + bytes - 1)) return -1;
    const at = this.#core.mmu.inPlace(offset, bytes, access);
    return at >= 0 && (at & 3) === 0 ? at >>> 2 : -1;
  }

  /** Makes the pointer the register. */
  commit(): void {
    const { registers } = this.#core;
    const { offset } = this;
    if (this.#width === 8) registers.setGpr(RSP, lowHalf(offset), highHalf(offset));
    else if (this.#width === 4) registers.setGpr(RSP, offset | 0, 0);
    else registers.setGpr(RSP, (registers.gprLo(RSP) & ~0xffff) | offset, registers.gprHi(RSP));
  }
}
