import type { Instruction } from '../decode/instruction.js';
import type { MicroOp } from '../microop/accessors.js';
import type { ExecutionMode } from './execution-mode.js';

/** A linear address as a number: canonical addresses are sign-extended, so all of them are exact, from -2^47 to 2^47 - 1. */
export type Linear = number;

/** A micro-operation with its operands, not yet in memory. */
export interface Step {
  readonly operation: MicroOp;
  /**
   * Slots are addresses in memory, or -1 - n for the block's constant n; links are numbers of targets; immediates are
   * themselves.
   */
  readonly fields: number[];
  /** Which instruction of the block it belongs to. */
  readonly instruction: number;
}

/** Blocks translated together, entered at the first one. */
export interface Translation {
  readonly blocks: readonly Block[];
}

/** Decoded code: a run of instructions entered at the top, as it lies in the arena. */
export interface Block {
  /** Address of its header in memory. */
  readonly address: number;
  /** Index among all blocks; also in its header. */
  readonly number: number;
  readonly mode: ExecutionMode;
  /** Instruction pointer: in 64-bit mode the linear address. */
  readonly rip: Linear;
  /** Offset of its first byte in its page. */
  readonly offset: number;
  /** Guest physical page of the first byte. */
  readonly page: number;
  /** Guest physical page of the last byte if the block's one instruction crosses pages, else -1. */
  readonly secondPage: number;
  /** Instructions in it, which are charged on entry; 0 for a system instruction, which the processor charges itself. */
  readonly count: number;
  /** Offset from `rip` of each instruction, and of the end. */
  readonly starts: readonly number[];
  /** Where in memory a byte for each word from the header on says which instruction that belongs to. */
  readonly owners: number;
  /** Instruction pointers that links lead to. */
  readonly targets: readonly Linear[];
  /** The instruction, if the block is a system instruction. */
  readonly system: Instruction | undefined;
  /** Shortened copies, by number of instructions. */
  tails: (Block | undefined)[] | undefined;
  /** The translations that it is part of. */
  translations: Translation[] | undefined;
  /** It is the entry of a translation: entering it charges nothing, because the translation does. */
  isTranslated: boolean;
  /** Its code has changed; nothing may lead here any more. */
  dropped: boolean;
}
