import { createInstruction, decode, DecodeStatus, MAX_INSTRUCTION_LENGTH } from '../decode/index.js';
import type { Instruction } from '../decode/index.js';
import { BlockBuilder, endsBlock, isRepeated, loweringOf } from '../lower/index.js';
import type { MemorySpace } from '../memory/space.js';
import { PAGE_BYTES } from '../memory/space.js';
import { BLOCK_NUMBER_OFFSET, fieldOffset } from '../microop/record.js';
import { Assembler } from './assembler.js';
import type { Block, Linear, Step } from './block.js';
import { codeKey, LONG_MODE } from './execution-mode.js';
import type { ExecutionMode } from './execution-mode.js';
import { findDeadFlags } from './flag-use.js';

/** In the header of a dropped block, where the instructions to charge are. */
const NOT_TO_ENTER = 0x7fffffff;

/** A block's micro-operations, and the constants that they name: pairs of low and high halves. */
export interface Lowered {
  readonly steps: readonly Step[];
  readonly constants: readonly number[];
}

/** What a code cache asks about translations. */
export interface TranslatedCode {
  /** How often a new block of so many instructions on a guest physical page may be entered before it says that it is hot; 0 if it need not count. */
  heatOf(page: number, count: number): number;
  /** A block of a translation is about to be forgotten. */
  dropped(block: Block): void;
}
const NEVER_TRANSLATED: TranslatedCode = { heatOf: () => 0, dropped: () => undefined };

/** Most instructions of one block. */
const MAX_BLOCK = 32;

/**
 * The decoded code of one register context: blocks by guest physical page and linear address, so that neither a remapped
 * page nor a second mapping of the same one can be served the other's blocks.
 */
export class CodeCache {
  readonly #space: MemorySpace;
  readonly #assembler: Assembler;
  readonly #builder: BlockBuilder;
  /** By page and `codeKey`. */
  readonly #pages = new Map<number, Map<number, Block>>();
  #blocks: Block[] = [];
  readonly #instructions: Instruction[] = Array.from({ length: MAX_BLOCK }, createInstruction);
  readonly #straddling = new Uint8Array(2 * MAX_INSTRUCTION_LENGTH);
  /** Grows when everything was dropped: a block from before is gone. */
  generation = 0;
  /** Whether blocks count how often they are entered, and who is told when a translated one is forgotten. */
  translated: TranslatedCode = NEVER_TRANSLATED;
  /** What `find` and `build` work in. */
  mode: ExecutionMode = LONG_MODE;

  constructor(space: MemorySpace, contextStart: number) {
    this.#space = space;
    this.#assembler = new Assembler(space, contextStart);
    this.#builder = new BlockBuilder(contextStart);
  }

  /** The block entered at `rip` on a guest physical page, if it has been decoded. */
  find(page: number, rip: Linear): Block | undefined {
    return this.#pages.get(page)?.get(codeKey(this.mode, rip));
  }

  /** The block whose header is at an address. */
  blockAt(header: number): Block {
    return this.#blocks[this.#space.i32[(header + BLOCK_NUMBER_OFFSET) >> 2]!]!;
  }

  /** The block that a record belongs to. */
  ownerOf(position: number): Block {
    return this.blockAt(headerOf(this.#space.i32, position));
  }

  /** Which instruction of its block a record belongs to. */
  instructionAt(position: number): number {
    const header = headerOf(this.#space.i32, position);
    return this.#space.u8[this.blockAt(header).owners + ((position - header) >> 2)]!;
  }

  /** Where an `unlinked` record of a block leads. */
  targetOf(owner: Block, position: number): Linear {
    return owner.targets[this.#space.i32[(position + fieldOffset(1)) >> 2]!]!;
  }

  /** Makes the link that ran into an `unlinked` record lead to a block. */
  link(position: number, block: Block): void {
    this.#space.i32[this.#space.i32[(position + fieldOffset(0)) >> 2]! >> 2] = block.address;
  }

  /**
   * Forgets the blocks with code between two offsets of a page, and tells `forgotten` of each. Their records stay until the arena is cleared, but whoever is
   * linked to one of them comes back to the processor.
   */
  drop(page: number, first: number, last: number, forgotten: (block: Block) => void): void {
    const blocks = this.#pages.get(page);
    if (blocks === undefined) return;
    for (const block of blocks.values()) {
      const length = block.starts.at(-1)!;
      const start = block.page === page ? block.offset : 0;
      const end = block.page === page ? block.offset + length : block.offset + length - PAGE_BYTES;
      if (start > last || end <= first) continue;
      this.dropBlock(block);
      forgotten(block);
    }
  }

  #forget(block: Block): void {
    if (block.translations?.length) this.translated.dropped(block);
    block.dropped = true;
    // No budget is large enough to enter it.
    this.#space.i32[block.address >> 2] = NOT_TO_ENTER;
    for (const tail of block.tails ?? []) if (tail !== undefined) tail.dropped = true;
  }

  /** Makes the links that lead to a dropped block go through the jump cache, now that one was used. */
  redirect(block: Block): void {
    if (block.system === undefined) this.#assembler.redirect(block.address, block.rip);
  }

  /** Forgets one block. */
  dropBlock(block: Block): void {
    this.#forget(block);
    const key = codeKey(block.mode, block.rip);
    this.#pages.get(block.page)?.delete(key);
    if (block.secondPage >= 0) this.#pages.get(block.secondPage)?.delete(key);
  }

  /** Forgets everything. */
  clear(): void {
    for (const blocks of this.#pages.values()) for (const block of blocks.values()) this.#forget(block);
    this.#pages.clear();
    this.#blocks = [];
    this.#assembler.clear();
    this.generation++;
  }

  /**
   * Decodes the block at `rip`, guest physical `gpa`. Truncated when its first instruction goes on in the next page: then
   * the caller translates that and passes its guest physical address as `nextGpa`. Other failures are the first
   * instruction's; one that goes beyond the limit of CS is TooLong.
   */
  build(rip: Linear, gpa: number, nextGpa: number): Block | DecodeStatus {
    const { u8, ramStart } = this.#space;
    const { mode } = this;
    const room = PAGE_BYTES - (gpa % PAGE_BYTES);
    let bytes = u8;
    let offset = ramStart + gpa;
    let available = room;
    if (nextGpa >= 0) {
      bytes = this.#straddling;
      bytes.set(u8.subarray(offset, offset + Math.min(room, MAX_INSTRUCTION_LENGTH)));
      bytes.set(u8.subarray(ramStart + nextGpa, ramStart + nextGpa + MAX_INSTRUCTION_LENGTH), room);
      offset = 0;
      available = room + MAX_INSTRUCTION_LENGTH;
    }
    const starts = [0];
    let count = 0;
    let length = 0;
    while (count < MAX_BLOCK) {
      const instruction = this.#instructions[count]!;
      const status = decode(bytes, offset + length, available - length, mode.bits, instruction);
      if (status !== DecodeStatus.Ok) {
        if (count === 0) return status;
        break;
      }
      if (rip + length + instruction.length - 1 > mode.limit) {
        if (count === 0) return DecodeStatus.TooLong;
        break;
      }
      const alone = loweringOf(instruction, mode) === undefined || isRepeated(instruction);
      if (alone && count > 0) break;
      count++;
      length += instruction.length;
      starts.push(length);
      if (alone || endsBlock(instruction) || nextGpa >= 0) break;
    }
    this.#space.markCode(gpa, Math.min(length, room));
    if (length > room) this.#space.markCode(nextGpa, length - room);
    const block = this.#assemble(mode, rip, gpa, nextGpa >= 0 ? Math.floor(nextGpa / PAGE_BYTES) : -1, starts, false);
    this.#keep(block.page, block);
    if (block.secondPage >= 0) this.#keep(block.secondPage, block);
    return block;
  }

  #keep(page: number, block: Block): void {
    let blocks = this.#pages.get(page);
    if (blocks === undefined) this.#pages.set(page, (blocks = new Map()));
    blocks.set(codeKey(block.mode, block.rip), block);
  }

  /** The first `count` instructions of a block, which then returns to the processor. */
  tail(block: Block, count: number): Block {
    const known = block.tails?.[count];
    if (known !== undefined) return known;
    for (let i = 0; i < count; i++) this.#decodeAgain(block, i, this.#instructions[i]!);
    const generation = this.generation;
    const tail = this.#assemble(block.mode, block.rip, block.page * PAGE_BYTES + block.offset, block.secondPage, block.starts.slice(0, count + 1), true);
    if (generation === this.generation) (block.tails ??= [])[count] = tail;
    return tail;
  }

  /** Decodes an instruction of a block, whose bytes cannot have changed since, into `out`. */
  #decodeAgain(block: Block, index: number, out: Instruction): void {
    const { u8, ramStart } = this.#space;
    const offset = block.offset + block.starts[index]!;
    const at = ramStart + block.page * PAGE_BYTES + offset;
    if (block.secondPage < 0) {
      decode(u8, at, PAGE_BYTES - offset, block.mode.bits, out);
      return;
    }
    const room = PAGE_BYTES - offset;
    const second = ramStart + block.secondPage * PAGE_BYTES;
    this.#straddling.set(u8.subarray(at, at + room));
    this.#straddling.set(u8.subarray(second, second + MAX_INSTRUCTION_LENGTH), room);
    decode(this.#straddling, 0, room + MAX_INSTRUCTION_LENGTH, block.mode.bits, out);
  }

  /** An instruction of a block, decoded again; valid until the next call. */
  instruction(block: Block, index: number): Instruction {
    this.#decodeAgain(block, index, this.#instructions[0]!);
    return this.#instructions[0]!;
  }

  /** Makes the micro-operations of the instructions decoded last. */
  #lower(mode: ExecutionMode, rip: Linear, starts: readonly number[], heat: number): void {
    const builder = this.#builder;
    const instructions = this.#instructions;
    const count = starts.length - 1;
    builder.reset(mode);
    const dead = findDeadFlags(instructions, count);
    builder.index = 0;
    if (heat > 0) builder.emit('count');
    for (let i = 0; i < count; i++) {
      builder.instruction = instructions[i]!;
      builder.index = i;
      builder.next = wrap(mode, rip + starts[i + 1]!);
      builder.flagsDead = dead[i]!;
      loweringOf(instructions[i]!, mode)!(builder);
    }
  }

  /** What the block does where it ends without a jump. */
  #finish(mode: ExecutionMode, rip: Linear, starts: readonly number[]): void {
    const builder = this.#builder;
    if (builder.steps.at(-1)?.operation.terminal !== true) builder.emit('goto', builder.target(wrap(mode, rip + starts.at(-1)!)));
  }

  /** The micro-operations of a block that counts its entries, once more, with their constants: as they lie in the arena. */
  lowered(block: Block): Lowered {
    for (let i = 0; i < block.count; i++) this.#decodeAgain(block, i, this.#instructions[i]!);
    this.#lower(block.mode, block.rip, block.starts, 1);
    this.#finish(block.mode, block.rip, block.starts);
    const { steps, constants } = this.#builder;
    return { steps, constants };
  }

  /** Lowers the instructions decoded last and lays them down. */
  #assemble(mode: ExecutionMode, rip: Linear, gpa: number, secondPage: number, starts: number[], short: boolean): Block {
    const builder = this.#builder;
    const instructions = this.#instructions;
    const count = starts.length - 1;
    const page = Math.floor(gpa / PAGE_BYTES);
    const isSystem = loweringOf(instructions[0]!, mode) === undefined;
    const linkable = secondPage < 0 && !short;
    const mayCount = linkable && !isSystem;
    const heat = mayCount ? this.translated.heatOf(page, count) : 0;
    if (isSystem) {
      builder.reset(mode);
      builder.emit('system');
    } else {
      this.#lower(mode, rip, starts, heat);
      if (short && !endsBlock(instructions[count - 1]!)) builder.emit('short');
      else this.#finish(mode, rip, starts);
    }
    const charge = isSystem ? 0 : count;
    const lay = () => this.#assembler.assemble(builder, this.#blocks.length, rip, charge, linkable, mayCount, heat);
    let laid = lay();
    if (laid === undefined) {
      this.clear();
      laid = lay()!;
    }
    let system: Instruction | undefined;
    if (isSystem) {
      system = createInstruction();
      copyInstruction(instructions[0]!, system);
    }
    const block: Block = {
      // Field by field: V8 makes a spread object's later fields one at a time, ten times as slowly, and self-modifying guests come here all the time.
      address: laid.address,
      owners: laid.owners,
      number: this.#blocks.length,
      mode,
      rip,
      page,
      offset: gpa % PAGE_BYTES,
      secondPage,
      count: charge,
      starts,
      targets: builder.targets,
      system,
      tails: undefined,
      translations: undefined,
      isTranslated: false,
      dropped: false,
    };
    this.#blocks.push(block);
    return block;
  }
}

/** An instruction pointer behind another, which outside 64-bit mode has 32 bits. */
function wrap(mode: ExecutionMode, rip: number): number {
  return mode === LONG_MODE ? rip : rip % 2 ** 32;
}

function headerOf(i32: Int32Array, position: number): number {
  return position - 4 * (i32[position >> 2]! >>> 16);
}

function copyInstruction(from: Instruction, to: Instruction): void {
  const { operands, ...fields } = from;
  Object.assign(to, fields);
  operands.forEach((operand, i) => Object.assign(to.operands[i]!, operand));
}
