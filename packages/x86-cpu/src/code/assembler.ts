import type { BlockBuilder } from '../lower/builder.js';
import { ARENA_SIZE, ContextOffset } from '../memory/layout.js';
import type { MemorySpace } from '../memory/space.js';
import { PAGE_BYTES } from '../memory/space.js';
import type { MicroOp } from '../microop/accessors.js';
import { microOp } from '../microop/catalog.js';
import { BLOCK_HEADER_SIZE, BLOCK_HEAT_OFFSET, BLOCK_NUMBER_OFFSET, fieldOffset, recordSize } from '../microop/record.js';
import { BEYOND_LIMIT } from '../lower/builder.js';
import type { Linear } from './block.js';
import { linearOf } from './execution-mode.js';

const COUNT = microOp('count');
const UNLINKED = microOp('unlinked');
const JUMP = microOp('jump');
const BEYOND = microOp('beyond');
/** What `redirect` needs: a header, a jump and its target. */
const REDIRECT_SIZE = BLOCK_HEADER_SIZE + recordSize(JUMP) + 8;
const EXIT_SIZE = BLOCK_HEADER_SIZE + Math.max(recordSize(UNLINKED), recordSize(JUMP));

/** What the assembler tells of a block it has laid down. */
export interface Assembled {
  readonly address: number;
  /** Where a byte for each word from the header on says which instruction that belongs to. */
  readonly owners: number;
}

/** Lays blocks into a context's arena: header, records, ways out, constants. */
export class Assembler {
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #free: number;

  constructor(space: MemorySpace, contextStart: number) {
    this.#i32 = space.i32;
    this.#u8 = space.u8;
    this.#start = contextStart + ContextOffset.arena;
    this.#end = this.#start + ARENA_SIZE;
    this.#free = this.#start;
  }

  /** Gives up everything that was laid down. */
  clear(): void {
    this.#free = this.#start;
  }

  /**
   * Lays a block down; undefined when the arena is full. Links within the page `rip` lies in become direct once their
   * target exists, all others (all, if `linkable` is false) go through the jump cache, because the other page may come
   * to be mapped elsewhere.
   */
  assemble(builder: BlockBuilder, number: number, rip: Linear, count: number, linkable: boolean, mayCount: boolean, heat: number): Assembled | undefined {
    const { steps, targets, mode } = builder;
    const page = Math.floor(linearOf(mode, rip) / PAGE_BYTES);
    const isNear = (target: Linear): boolean => target === BEYOND_LIMIT || (linkable && Math.floor(linearOf(mode, target) / PAGE_BYTES) === page);
    const far = targets.map((target) => (isNear(target) ? undefined : builder.number(target)));
    // A block that could count takes the same room whether it does or not, so that the arena is full at the same time.
    let recordsSize = BLOCK_HEADER_SIZE + (mayCount && heat === 0 ? recordSize(COUNT) : 0);
    let links = 0;
    for (const { operation } of steps) {
      recordsSize += recordSize(operation);
      for (const kind of operation.fields) if (kind === 't') links++;
    }
    const constantsAt = align8(this.#free + recordsSize + links * EXIT_SIZE);
    const owners = Math.max(constantsAt + 4 * builder.constants.length, this.#free + REDIRECT_SIZE);
    const end = align8(owners + recordsSize / 4);
    if (end > this.#end) return undefined;

    const address = this.#free;
    this.#header(address, count, number);
    this.#i32[(address + BLOCK_HEAT_OFFSET) / 4] = heat;
    let at = address + BLOCK_HEADER_SIZE;
    let exitAt = address + recordsSize;
    for (const { operation, fields, instruction } of steps) {
      this.#operation(at, operation, address);
      this.#u8.fill(instruction, owners + (at - address) / 4, owners + (at - address + recordSize(operation)) / 4);
      for (let i = 0; i < fields.length; i++) {
        const kind = operation.fields[i]!;
        const value = fields[i]!;
        const word = (at + fieldOffset(i)) / 4;
        if (kind === 't') {
          this.#header(exitAt, 0, number);
          const constant = far[value];
          const record = exitAt + BLOCK_HEADER_SIZE;
          if (targets[value] === BEYOND_LIMIT) this.#operation(record, BEYOND, exitAt);
          else if (constant === undefined) {
            this.#operation(record, UNLINKED, exitAt);
            this.#i32[(record + fieldOffset(0)) / 4] = at + fieldOffset(i);
            this.#i32[(record + fieldOffset(1)) / 4] = value;
          } else {
            this.#operation(record, JUMP, exitAt);
            this.#i32[(record + fieldOffset(0)) / 4] = slotAddress(constant, constantsAt);
          }
          this.#i32[word] = exitAt;
          exitAt += EXIT_SIZE;
        } else this.#i32[word] = kind === 'r' ? slotAddress(value, constantsAt) : value;
      }
      at += recordSize(operation);
    }
    for (let i = 0; i < builder.constants.length; i++) this.#i32[constantsAt / 4 + i] = builder.constants[i]!;
    this.#free = end;
    return { address, owners };
  }

  /** Lays a jump to an instruction pointer over a block that nobody runs. */
  redirect(address: number, rip: Linear): void {
    const record = address + BLOCK_HEADER_SIZE;
    const constant = record + recordSize(JUMP);
    this.#i32[address / 4] = 0;
    this.#operation(record, JUMP, address);
    this.#i32[(record + fieldOffset(0)) / 4] = constant;
    this.#i32[constant / 4] = rip | 0;
    this.#i32[constant / 4 + 1] = Math.floor(rip / 2 ** 32) | 0;
  }

  #header(at: number, count: number, number: number): void {
    this.#i32[at / 4] = count;
    this.#i32[(at + BLOCK_NUMBER_OFFSET) / 4] = number;
  }

  #operation(at: number, operation: MicroOp, header: number): void {
    this.#i32[at / 4] = operation.code | (((at - header) / 4) << 16);
  }
}

function slotAddress(slot: number, constantsAt: number): number {
  return slot < 0 ? constantsAt + 8 * (-1 - slot) : slot;
}

function align8(value: number): number {
  return (value + 7) & ~7;
}
