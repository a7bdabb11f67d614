import type { MicroOp } from './accessors.js';

/**
 * How micro-operations lie in memory. A record is a word with the operation's number in its low half, then a word a
 * field: a slot's address, an immediate, or a block's address. The high half of the first word is the distance in words
 * back to the start of the block, which is how a position is traced to its instruction.
 */
export function recordSize(operation: MicroOp): number {
  return 4 + 4 * operation.fields.length;
}

/** Byte offset of a field in its record. */
export function fieldOffset(field: number): number {
  return 4 + 4 * field;
}

/**
 * A block starts with four words: the number of its instructions, which entering it charges; its number; where its translation is in the table of
 * translations; how many more times it may be entered before somebody asks whether it should have one.
 */
export const BLOCK_HEADER_SIZE = 16;
export const BLOCK_NUMBER_OFFSET = 4;
export const BLOCK_TRANSLATION_OFFSET = 8;
export const BLOCK_HEAT_OFFSET = 12;
