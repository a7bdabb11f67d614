/** A processor's state as plain data. */
import type { Intercepts, ProcessorExit } from '../contract.js';
import { STATE_SIZE, StateOffset } from '../memory/layout.js';
import { restoreWords, saveWords } from '../memory/saved-words.js';
import type { SavedWords } from '../memory/saved-words.js';

/** A block that the jump cache leads to. */
export type SavedJump = {
  /** Instruction pointer, in the mode the processor is in. */
  readonly rip: number;
  readonly gpa: number;
  /** Guest physical address of the next page for an instruction that goes on there, else −1. */
  readonly nextGpa: number;
};

/**
 * Everything of a processor that shows, now or later: registers, what is queued, the last exit, intercepts, translations and where code was last found. Decoded
 * code is not in it, it is decoded again.
 */
export type ProcessorState = {
  readonly retired: number;
  readonly registers: SavedWords;
  readonly rflags: number;
  readonly injected: { readonly type: number; readonly vector: number; readonly errorCode: number; readonly length: number };
  readonly virtualInterrupt: number;
  readonly virtualInterruptIgnoreTpr: boolean;
  readonly exit: { readonly [field: string]: number };
  readonly intercepts: { readonly [field: string]: number | boolean };
  readonly msrBitmap: SavedWords;
  readonly translations: readonly number[];
  readonly jumps: readonly SavedJump[];
  /** Cached translations of fetches: linear and guest physical page number of each, by turns. */
  readonly fetches: readonly number[];
};

const SEGMENTS_WITH_BOUNDS = 6;
const BOUNDS_BYTES = 16;

/** Fields of the state area that mean nothing between two runs, or are made from others, as [offset, bytes]; the flags are saved as RFLAGS. */
const SCRATCH = [
  [StateOffset.temporaries, StateOffset.flagA - StateOffset.temporaries],
  [StateOffset.flagA, StateOffset.systemFlags - StateOffset.flagA],
  [StateOffset.budget, StateOffset.cr0 - StateOffset.budget],
  [StateOffset.segmentBounds, SEGMENTS_WITH_BOUNDS * BOUNDS_BYTES],
] as const;

export function saveRegisters(i32: Int32Array): SavedWords {
  const words = i32.slice(0, STATE_SIZE >> 2);
  for (const [offset, bytes] of SCRATCH) words.fill(0, offset >> 2, (offset + bytes) >> 2);
  return saveWords(words);
}

/** The flags are left to be written. */
export function restoreRegisters(i32: Int32Array, saved: SavedWords): void {
  restoreWords(i32, saved);
}

export const saveExit = (exit: ProcessorExit): ProcessorState['exit'] => ({ ...exit });

export function saveIntercepts({ msrBitmap, ...flags }: Intercepts): Pick<ProcessorState, 'intercepts' | 'msrBitmap'> {
  return { intercepts: { ...flags }, msrBitmap: saveWords(new Int32Array(msrBitmap.buffer, msrBitmap.byteOffset, msrBitmap.length >> 2)) };
}

export function restoreIntercepts(intercepts: Intercepts, { intercepts: flags, msrBitmap }: ProcessorState): void {
  Object.assign(intercepts, flags);
  restoreWords(new Int32Array(intercepts.msrBitmap.buffer, intercepts.msrBitmap.byteOffset, intercepts.msrBitmap.length >> 2), msrBitmap);
}
