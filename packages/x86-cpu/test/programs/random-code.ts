import { createInstruction, decode, DecodeStatus } from '../../src/decode/index.js';
import { OPCODE_MAP_64 } from '../../src/decode/opcode-map-64.js';
import type { OpcodeForm } from '../../src/decode/opcode-map-64.js';
import { OPCODE_MAP_LEGACY } from '../../src/decode/opcode-map-legacy.js';
import { OPCODE_MAP_VEX } from '../../src/decode/opcode-map-vex.js';
import type { Dice } from './dice.js';
import { CODE, CODE_BYTES, DATA, GDT, IDT_LONG, IDT_PROTECTED, Selector, SHORT_TABLE, TABLE } from './layout.js';

type Bits = 16 | 32 | 64;

/** What is known of an instruction before the dice: its bytes up to the opcode, and its ModRM byte where it has one. */
interface Template {
  readonly mandatory: number;
  readonly opcode: readonly number[];
  readonly modrm: boolean;
  readonly reg: number;
  readonly whole: number;
  readonly memory: boolean;
}

function templateOf({ opcode, match, operands }: OpcodeForm): Template {
  const bytes = opcode > 0xffff ? [0x0f, (opcode >> 8) & 0xff, opcode & 0xff] : opcode > 0xff ? [0x0f, opcode & 0xff] : [opcode];
  const prefix = match.includes('NP') ? undefined : /\b(66|F2|F3)\b/.exec(match)?.[1];
  const reg = /\/(\d)/.exec(match)?.[1];
  const whole = /=(\w\w)/.exec(match)?.[1];
  return {
    mandatory: prefix === undefined ? 0 : Number.parseInt(prefix, 16),
    opcode: bytes,
    modrm: /[/=]|mem|reg/.test(match) || /\b[EGMRSCDVWPQ][a-z]*\b/.test(operands),
    reg: reg === undefined ? -1 : Number(reg),
    whole: whole === undefined ? -1 : Number.parseInt(whole, 16),
    memory: match.includes('mem') || /\bM/.test(operands),
  };
}

const longTemplates = OPCODE_MAP_64.map(templateOf);
const legacyTemplates = OPCODE_MAP_LEGACY.map(templateOf);
const vexTemplates = OPCODE_MAP_VEX.map(templateOf);
const PREFIXES = [0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const SELECTORS = Object.values(Selector).flatMap((selector) => [selector, selector | 3]).concat(0, 3, 4, 7, 0xfff8);
const MSRS = [0x10, 0x1b, 0x3a, 0x174, 0x175, 0x176, 0x277, 0x2ff, 0x802, 0x808, 0x80b, 0x40000000, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103];
const FLAG_BITS = [0x1, 0x40, 0x100, 0x200, 0x400, 0x3000, 0x4000, 0x1_0000, 0x2_0000, 0x4_0000, 0x20_0000];
const CONTROL_BITS: readonly (readonly number[])[] = [[1, 2, 4, 8, 0x20, 0x1_0000, 0x4_0000, 0x4000_0000, 0x8000_0000], [1, 4, 8, 0x10, 0x20, 0x80, 0x200, 0x800, 0x1_0000, 0x2_0000, 0x4_0000, 0x10_0000, 0x20_0000, 0x40_0000]];
const MAX_LENGTH = 15;

const instruction = createInstruction();

/** Writes random code: instructions of every row of the opcode map, short sequences that system software has, and noise between them. */
export class CodeWriter {
  readonly bytes: Uint8Array;
  /** How many of the written instructions exist. */
  valid = 0;
  readonly #dice: Dice;
  #bits: Bits;
  #at = 0;
  /** Behind what is written here. */
  #end: number;

  constructor(bytes: Uint8Array, dice: Dice, bits: Bits) {
    this.bytes = bytes;
    this.#dice = dice;
    this.#bits = bits;
    this.#end = bytes.length - 64;
  }

  /** Fills the bytes, with noise at the end. */
  writeAll(): void {
    const dice = this.#dice;
    const { bytes } = this;
    const own = this.#bits;
    dice.fill(bytes.subarray(this.#end));
    while (this.#at < this.#end) {
      // Sometimes for another mode.
      this.#bits = dice.once(24) ? dice.pick<Bits>([16, 32, 64]) : own;
      if (dice.once(8)) this.#sequence();
      else this.#instruction();
    }
  }

  #put(...bytes: readonly number[]): void {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #word(value: number): void {
    this.#put(value & 0xff, (value >> 8) & 0xff);
  }

  #double(value: number): void {
    this.#word(value);
    this.#word(value >>> 16);
  }

  /** An operand of 4 bytes in 16-bit code too. */
  #wide(): void {
    if (this.#bits === 16) this.#put(0x66);
  }

  /** MOV r32, imm32. */
  #move(register: number, value: number): void {
    this.#wide();
    this.#put(0xb8 | register);
    this.#double(value);
  }

  /** ModRM and displacement of an absolute address, behind an opcode; `prefixes` and the opcode come first. */
  #absolute(before: readonly number[], reg: number, address: number): void {
    if (this.#bits === 16) this.#put(0x67);
    this.#put(...before);
    if (this.#bits === 64) this.#put((reg << 3) | 4, 0x25);
    else this.#put((reg << 3) | 5);
    this.#double(address);
  }

  #instruction(): void {
    const dice = this.#dice;
    const { bytes } = this;
    const start = this.#at;
    // Nothing but noise now and then.
    if (dice.once(32)) this.#put(dice.below(256));
    const vex = dice.once(40);
    const template = dice.pick(vex ? vexTemplates : this.#bits === 64 ? longTemplates : legacyTemplates);
    if (vex) this.#vex(template);
    else {
      for (let odds = 3; dice.once(odds); odds = 8) this.#put(dice.pick(PREFIXES));
      if (template.mandatory !== 0) this.#put(template.mandatory);
      if (this.#bits === 64 && dice.once(2)) this.#put(0x40 | dice.below(16));
      this.#put(...template.opcode);
    }
    if (template.whole >= 0) this.#put(template.whole);
    else if (template.modrm) this.#modrm(template);
    const from = this.#at;
    for (let i = from; i < start + MAX_LENGTH; i++) bytes[i] = dice.next() >>> 24;
    if (dice.once(2)) bytes.fill(0, from + 1, start + MAX_LENGTH);
    const known = decode(bytes, start, MAX_LENGTH, this.#bits, instruction) === DecodeStatus.Ok;
    if (known) this.valid++;
    this.#at = known ? start + instruction.length : from;
  }

  #vex({ mandatory, opcode }: Template): void {
    const dice = this.#dice;
    const pp = [0, 0x66, 0xf3, 0xf2].indexOf(mandatory);
    const inverted = this.#bits === 64 ? dice.below(8) << 5 : 0xe0;
    this.#put(0xc4, inverted | (opcode[1] === 0x38 ? 2 : 3), (dice.below(2) << 7) | (dice.below(16) << 3) | pp, opcode[2]!);
  }

  #modrm({ reg, memory }: Template): void {
    const dice = this.#dice;
    const field = (reg >= 0 ? reg : dice.below(8)) << 3;
    if (!memory && dice.once(2)) {
      this.#put(0xc0 | field | dice.below(8));
      return;
    }
    if (dice.once(3) && this.#bits !== 16) {
      const address = dice.pick([DATA, DATA, CODE, TABLE, GDT]) + dice.below(0x800);
      if (this.#bits === 64) this.#put(field | 4, 0x25);
      else this.#put(field | 5);
      this.#double(address);
      return;
    }
    const rm = dice.below(8);
    const modes = dice.pick([0, 1, 1, 2]);
    this.#put((modes << 6) | field | rm);
    if (rm === 4 && this.#bits !== 16) this.#put(dice.below(256));
    if (modes === 1) this.#put(dice.next() >>> 24);
    else if (modes === 2) {
      if (this.#bits === 16) this.#word(dice.below(0x1000));
      else this.#double(dice.below(0x2000) - 0x1000);
    }
  }

  #sequence(): void {
    const dice = this.#dice;
    this.valid += 2;
    switch (dice.below(16)) {
      case 0:
        this.#move(1, dice.pick(MSRS));
        this.#put(0x0f, 0x32);
        break;
      case 1: {
        // One MSR written with what it held but for a bit, or with anything.
        this.#move(1, dice.pick(MSRS));
        if (dice.once(2)) this.#put(0x0f, 0x32);
        this.#wide();
        this.#put(0x35);
        this.#double(1 << dice.below(32));
        this.#put(0x0f, 0x30);
        break;
      }
      case 2:
      case 3: {
        const four = dice.below(2);
        this.#put(0x0f, 0x20, four << 5);
        this.#wide();
        this.#put(0x35);
        this.#double(dice.pick(CONTROL_BITS[four]!));
        this.#put(0x0f, 0x22, four << 5);
        break;
      }
      case 4:
        this.#put(0x0f, 0x20, 0x18, 0x0f, 0x22, 0x18);
        break;
      case 5:
      case 6: {
        // A page-table entry gets other rights or another page; with INVLPG more often than not.
        const page = dice.pick([dice.below(32), dice.below(64), 256 + dice.below(64)]);
        const frame = dice.once(3) ? dice.below(256) << 12 : (page & 255) << 12;
        const rights = dice.pick([0x07, 0x07, 0x27, 0x67, 0x05, 0x03, 0x01, 0x00, 0x107, 0x87]);
        this.#absolute([0xc7], 0, dice.once(2) ? TABLE + 8 * page : SHORT_TABLE + 4 * page);
        if (this.#bits === 16) this.#word(frame | rights);
        else this.#double(frame | rights);
        if (!dice.once(3)) this.#absolute([0x0f, 0x01], 7, page << 12);
        break;
      }
      case 7:
      case 8: {
        // A store into the code nearby.
        const target = dice.once(2) ? CODE + this.#at + dice.below(32) : CODE + dice.below(CODE_BYTES);
        this.#absolute([0xc6], 0, dice.once(4) ? target + 0x10_0000 : target);
        this.#put(dice.next() >>> 24);
        break;
      }
      case 9: {
        // A loop of a few rounds.
        this.#move(1, 1 + dice.below(20));
        const top = this.#at;
        for (let i = dice.below(3); i >= 0; i--) this.#instruction();
        this.#put(0xe2, (top - this.#at - 2) & 0xff);
        break;
      }
      case 10: {
        // A frame for IRET, good or bad, of any width.
        const selector = dice.pick(SELECTORS);
        if (this.#bits === 64) {
          this.#put(0x6a, dice.pick([0x10, 0x1b, 0, 3, 0x23]), 0x68);
          this.#double(DATA + dice.below(0x1000));
        }
        this.#put(0x68);
        if (this.#bits === 16) this.#word(2 | dice.pick(FLAG_BITS));
        else this.#double(2 | dice.pick(FLAG_BITS));
        this.#put(0x6a, selector & 0x7f, 0x68);
        if (this.#bits === 16) this.#word(dice.below(CODE_BYTES));
        else this.#double(CODE + dice.below(CODE_BYTES));
        if (this.#bits === 64) this.#put(0x48);
        this.#put(0xcf);
        break;
      }
      case 11:
        // MOV to a segment register, far jumps and calls.
        if (dice.once(2)) {
          this.#move(0, dice.pick(SELECTORS));
          this.#put(0x8e, 0xc0 | (dice.pick([0, 2, 3, 4, 5]) << 3));
        } else if (this.#bits === 64) {
          this.#absolute([0xff], dice.pick([3, 5]), DATA + 8 * dice.below(64));
        } else {
          this.#put(dice.pick([0x9a, 0xea]));
          if (this.#bits === 16) this.#word(dice.below(CODE_BYTES));
          else this.#double(CODE + dice.below(CODE_BYTES));
          this.#word(dice.pick(SELECTORS));
        }
        break;
      case 12:
        // REP and a few rounds, registers as they are.
        this.#move(1, dice.below(40));
        if (dice.once(2)) this.#move(7, DATA + dice.below(0x1000));
        this.#put(dice.pick([0xf2, 0xf3]), dice.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6e]));
        break;
      case 13:
        this.#put(0x68);
        if (this.#bits === 16) this.#word(2 | dice.pick(FLAG_BITS) | dice.pick(FLAG_BITS));
        else this.#double(2 | dice.pick(FLAG_BITS) | dice.pick(FLAG_BITS));
        this.#put(0x9d);
        break;
      case 14: {
        // LGDT, LIDT, LLDT, LTR; DR7.
        const which = dice.below(4);
        if (which === 0) this.#absolute([0x0f, 0x01], dice.pick([2, 3]), dice.pick([DATA, GDT, IDT_LONG, IDT_PROTECTED]) + dice.below(16));
        else if (which === 3) {
          this.#move(0, dice.next() & 0xffff_07ff);
          this.#put(0x0f, 0x23, 0xf8);
        } else {
          this.#move(0, dice.pick(SELECTORS));
          this.#put(0x0f, 0x00, 0xc0 | ((which + 1) << 3));
        }
        break;
      }
      default:
        // STI before something, HLT, INT n, SYSCALL, SYSENTER.
        this.#put(...dice.pick([[0xfb, 0x90], [0xfb, 0xf4], [0xf4], [0xcd, dice.below(64)], [0xcd, 0x80], [0x0f, 0x05], [0x0f, 0x34], [0xcc], [0x0f, 0x0b]]));
    }
  }
}
