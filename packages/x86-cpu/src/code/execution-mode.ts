import { CodeMode } from '../decode/index.js';
import { Segment, StateOffset } from '../memory/layout.js';
import { Attribute, Cr0, Efer } from '../processor/registers.js';
import type { Registers } from '../processor/registers.js';
import { boundsOf } from '../processor/segment-bounds.js';
import type { Linear } from './block.js';

/** What decoded code depends on besides its bytes and its address; one object for each combination, so that identity tells. */
export interface ExecutionMode {
  /** Among all modes but 64-bit mode, which is -1. */
  readonly number: number;
  readonly bits: CodeMode;
  /** Bytes of the stack pointer: 8 in 64-bit mode, else by SS.B. */
  readonly stackSize: 2 | 4 | 8;
  /** Base and limit of CS; 64-bit mode has neither. */
  readonly base: number;
  readonly limit: number;
  /** Bit n: segment n (ES CS SS DS FS GS) has base 0 and allows every access everywhere. */
  readonly flat: number;
}

/** 64-bit mode: EFER.LMA and CS.L. */
export const LONG_MODE: ExecutionMode = { number: -1, bits: CodeMode.Bits64, stackSize: 8, base: 0, limit: Infinity, flat: 0 };

const TWO_32 = 2 ** 32;
const MAX_MODES = 4096;

/** The linear address of an instruction pointer. */
export function linearOf(mode: ExecutionMode, rip: number): Linear {
  return mode === LONG_MODE ? rip : (mode.base + rip) % TWO_32;
}

/** One number for an instruction pointer and its mode, exact: linear addresses themselves in 64-bit mode, and beyond them 2^32 for each other mode. */
export function codeKey(mode: ExecutionMode, rip: number): number {
  return mode === LONG_MODE ? rip : 2 ** 48 + mode.number * TWO_32 + rip;
}

/** The modes one processor has been in. */
export class ExecutionModes {
  #known: ExecutionMode[] = [];
  /** Called when there have been so many modes that their numbers start again: code decoded before must be forgotten. */
  readonly #forget: () => void;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  /** The mode the registers are in; fills the bounds of the segments in the state, which only the other modes look at. */
  current(registers: Registers): ExecutionMode {
    const code = registers.attributes(Segment.cs);
    if (registers.lo(StateOffset.efer) & Efer.lma && code & Attribute.l) return LONG_MODE;
    const real = !(registers.lo(StateOffset.cr0) & Cr0.pe);
    const bits = code & Attribute.db ? CodeMode.Bits32 : CodeMode.Bits16;
    const stackSize = registers.attributes(Segment.ss) & Attribute.db ? 4 : 2;
    const base = registers.base(Segment.cs) >>> 0;
    const limit = registers.limit(Segment.cs);
    let flat = 0;
    for (let segment = Segment.es; segment <= Segment.gs; segment++) if (fillBounds(registers, segment, real)) flat |= 1 << segment;
    for (let i = this.#known.length - 1; i >= 0; i--) {
      const mode = this.#known[i]!;
      if (mode.base === base && mode.bits === bits && mode.limit === limit && mode.stackSize === stackSize && mode.flat === flat) return mode;
    }
    if (this.#known.length === MAX_MODES) {
      this.#known = [];
      this.#forget();
    }
    const mode = { number: this.#known.length, bits, stackSize, base, limit, flat } as const;
    this.#known.push(mode);
    return mode;
  }
}

/** Puts what a segment allows where micro-operations look for it; says whether that is everything, at base 0. */
function fillBounds(registers: Registers, segment: number, real: boolean): boolean {
  const at = (StateOffset.segmentBounds + segment * 16) >> 2;
  const { i32 } = registers;
  const attributes = registers.attributes(segment);
  const limit = registers.limit(segment);
  let everything = registers.base(segment) === 0;
  for (let write = 0; write < 2; write++) {
    const { low, high } = boundsOf(attributes, limit, write === 1, real);
    i32[at + 2 * write] = low | 0;
    i32[at + 2 * write + 1] = high | 0;
    if (low !== 0 || high !== 0xffffffff) everything = false;
  }
  return everything;
}
