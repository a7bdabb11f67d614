import { stateLayout } from '../../src/index.js';
import { StateOffset } from '../../src/memory/layout.js';
import type { Dice } from './dice.js';
import {
  CODE, CODE_BYTES, DATA, DIRECTORY, GDT, HANDLER_BYTES, HANDLERS_LONG, HANDLERS_PROTECTED, HANDLERS_REAL, IDT_LONG, IDT_PROTECTED, LDT, OTHER_STACK, PAE_POINTERS, PDPT, PML4,
  PRIVILEGED_STACK, RAM, Selector, SHORT_DIRECTORY, SHORT_TABLE, STACK, TABLE, TSS_LONG, TSS_PROTECTED,
} from './layout.js';
import type { Mode } from './modes.js';
import { CodeWriter } from './random-code.js';

const WITH_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
const HLT = 0xf4;
const Pte = { present: 1, writable: 2, user: 4, large: 0x80, global: 0x100, noExecute: 0x8000_0000 } as const;
const PAGES = RAM >> 12;

/** A random program: the machine's whole memory when it begins, and what its owner intercepts. */
export interface Program {
  readonly mode: Mode;
  readonly image: Uint8Array;
  /** Instructions that were written, of those that exist. */
  readonly written: number;
  /** Bit n: exceptions of vector n go to the owner. */
  readonly exceptions: number;
  /** Everything else that can be intercepted is. */
  readonly intercepted: boolean;
}

/** Fills an image in place. */
class ImageWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #dice: Dice;

  constructor(bytes: Uint8Array, dice: Dice) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#dice = dice;
  }

  #quad(at: number, lo: number, hi: number): void {
    this.#view.setUint32(at, lo, true);
    this.#view.setUint32(at + 4, hi, true);
  }

  /** Page tables of all three formats over the same pages: the first MiB twice, then large pages. */
  tables({ user, efer }: Mode): void {
    const dice = this.#dice;
    const all = Pte.present | Pte.writable | Pte.user;
    this.#quad(PML4, PDPT | all, 0);
    this.#quad(PDPT, DIRECTORY | all, 0);
    for (let i = 0; i < 4; i++) this.#quad(PAE_POINTERS + 8 * i, DIRECTORY | Pte.present, 0);
    this.#quad(DIRECTORY, TABLE | all, 0);
    this.#quad(DIRECTORY + 8, Pte.large | Pte.global | all, 0);
    this.#view.setUint32(SHORT_DIRECTORY, SHORT_TABLE | all, true);
    this.#view.setUint32(SHORT_DIRECTORY + 4, Pte.large | Pte.global | all, true);
    for (let page = 0; page < 2 * PAGES; page++) {
      const isSystem = page % PAGES < CODE >> 12;
      const open = isSystem ? dice.once(32) : user ? !dice.once(24) : dice.once(16);
      const bits = (dice.once(60) && !isSystem ? 0 : Pte.present) | (dice.once(12) ? 0 : Pte.writable) | (open ? Pte.user : 0) | (dice.once(16) ? Pte.global : 0);
      const frame = (page % PAGES) << 12;
      this.#quad(TABLE + 8 * page, frame | bits, efer & 0x800 && dice.once(24) && !isSystem ? Pte.noExecute : 0);
      this.#view.setUint32(SHORT_TABLE + 4 * page, frame | bits, true);
    }
  }

  descriptors(): void {
    const dice = this.#dice;
    for (let at = GDT; at < GDT + 0x100; at += 8) this.#quad(at, dice.next(), dice.next());
    const at = (selector: number, lo: number, hi: number): void => this.#quad(GDT + selector, lo, hi);
    at(0, 0, 0);
    at(Selector.long, 0xffff, 0x00af9b00);
    at(Selector.data, 0xffff, 0x00cf9300);
    at(Selector.userData, 0xffff, 0x00cff300);
    at(Selector.userLong, 0xffff, 0x00affb00);
    at(Selector.tssLong, 0x0067 | (TSS_LONG << 16), 0x8b00);
    at(Selector.tssLong + 8, 0, 0);
    at(Selector.code, 0xffff, 0x00cf9b00);
    at(Selector.short, 0xffff, 0x00009b01);
    at(Selector.userCode, 0xffff, 0x00cffb00);
    at(Selector.tss, 0x0067 | (TSS_PROTECTED << 16), 0x8b00);
    at(Selector.gate, (CODE & 0xffff) | (Selector.code << 16), 0xec00 | dice.below(4) | (CODE & 0xffff0000));
    at(Selector.ldt, 0x00ff | (LDT << 16), 0x8200);
    at(Selector.ldt + 8, 0, 0);
    at(Selector.conforming, 0xffff, 0x00cf9f00);
    at(Selector.expandDown, 0x000f, 0x00cf9700);
    at(Selector.absent, 0xffff, 0x00cf1300);
    at(Selector.shortStack, 0xffff, 0x00009301);
    at(Selector.userShort, 0xffff, 0x0000fb01);
    for (let i = 0; i < 0x100; i += 8) this.#quad(LDT + i, dice.next(), dice.next());
    for (let i = 0; i < 3; i++) this.#quad(TSS_LONG + 4 + 8 * i, PRIVILEGED_STACK, 0);
    for (let i = 0; i < 7; i++) this.#quad(TSS_LONG + 0x24 + 8 * i, OTHER_STACK, 0);
    for (let i = 0; i < 3; i++) this.#quad(TSS_PROTECTED + 4 + 8 * i, PRIVILEGED_STACK, Selector.data);
  }

  #handler(at: number, code: readonly number[]): void {
    this.#bytes.set(code, at);
  }

  /** Handlers that halt, or go on a few bytes behind what they interrupted. */
  handlers(): void {
    const dice = this.#dice;
    const someHalt = dice.once(3);
    for (let vector = 0; vector < 256; vector++) {
      const long = HANDLERS_LONG + HANDLER_BYTES * vector;
      const short = HANDLERS_PROTECTED + HANDLER_BYTES * vector;
      const type = (dice.once(4) ? 0x8f00 : 0x8e00) | (vector > 31 || vector === 3 ? 0x6000 : 0);
      this.#quad(IDT_LONG + 16 * vector, (long & 0xffff) | (Selector.long << 16), type | (vector === 8 ? 1 : dice.once(16) ? 2 : 0) | (long & 0xffff0000));
      this.#quad(IDT_PROTECTED + 8 * vector, (short & 0xffff) | (Selector.code << 16), type | (short & 0xffff0000));
      const skip = vector > 31 || vector === 1 ? 0 : dice.below(6);
      const halts = vector === 8 || (someHalt && dice.once(8));
      const popped = WITH_ERROR_CODE.has(vector) ? 8 : 0;
      // LEA RSP, [RSP + 8]; ADD QWORD [RSP], skip; IRETQ, and the same of 32 bits; PUSH BP; MOV BP, SP; ADD WORD [BP + 2], skip; POP BP; IRET.
      this.#handler(long, halts ? [HLT] : [0x48, 0x8d, 0x64, 0x24, popped, 0x48, 0x83, 0x04, 0x24, skip, 0x48, 0xcf]);
      this.#handler(short, halts ? [HLT] : [0x8d, 0x64, 0x24, popped / 2, 0x83, 0x04, 0x24, skip, 0xcf]);
      if (vector >= 64) continue;
      const real = HANDLERS_REAL + HANDLER_BYTES * vector;
      this.#view.setUint32(4 * vector, real, true);
      this.#handler(real, halts ? [HLT] : [0x55, 0x89, 0xe5, 0x83, 0x46, 0x02, skip, 0x5d, 0xcf]);
    }
  }
}

/** Makes a program in the memory of another, which is lost. */
export function makeProgram(image: Uint8Array, mode: Mode, dice: Dice): Program {
  image.fill(0);
  const writer = new ImageWriter(image, dice);
  writer.tables(mode);
  writer.descriptors();
  writer.handlers();
  const code = new CodeWriter(image.subarray(CODE, CODE + CODE_BYTES), dice, mode.bits);
  code.writeAll();
  dice.fill(image.subarray(DATA, DATA + 0x1000));
  for (let at = STACK - 0x100; at < STACK + 0x100; at += 4) new DataView(image.buffer, image.byteOffset).setUint32(at, CODE + dice.below(CODE_BYTES), true);
  const exceptions = dice.pick([0, 0, -1, -1, dice.next() | 0]);
  return { mode, image, written: code.valid, exceptions, intercepted: dice.once(4) };
}

const pointers = [CODE, CODE, DATA, DATA, DATA + 0xff8, STACK, TABLE, GDT, 0x10_0000 + CODE, 0x10_0000 + DATA, 0x20_0000 + DATA, RAM - 4];

/** Where a program is entered: mode, registers and an instruction pointer, into a processor's state. */
export function enter(i32: Int32Array, mode: Mode, dice: Dice): void {
  const put = (offset: number, lo: number, hi = 0): void => {
    i32[offset >> 2] = lo;
    i32[(offset >> 2) + 1] = hi;
  };
  // What counts the instructions of the last run stays.
  const counted = i32[StateOffset.budget >> 2]!;
  i32.fill(0);
  i32[StateOffset.budget >> 2] = counted;
  put(StateOffset.random, dice.next(), 1);
  put(stateLayout.cr0, mode.cr0);
  put(stateLayout.cr3, mode.cr3);
  put(stateLayout.cr4, mode.cr4);
  put(stateLayout.efer, mode.efer);
  put(stateLayout.gdtrBase, mode.gdt[0]);
  i32[stateLayout.gdtrLimit >> 2] = mode.gdt[1];
  put(stateLayout.idtrBase, mode.idt[0]);
  i32[stateLayout.idtrLimit >> 2] = mode.idt[1];
  const isLong = (mode.efer & 0x500) !== 0;
  const segment = (number: number, [selector, attributes, base, limit]: readonly [number, number, number, number]): void => {
    const at = (stateLayout.segments + number * stateLayout.segmentSize) >> 2;
    i32[at] = selector | (attributes << 16);
    i32[at + 1] = limit;
    i32[at + 2] = base;
  };
  for (const number of [0, 3, 4, 5]) segment(number, mode.data);
  segment(1, mode.code);
  segment(2, mode.stack);
  segment(6, [0, 0, 0, 0]);
  segment(7, isLong ? [Selector.tssLong, 0x8b, TSS_LONG, 0x67] : [Selector.tss, 0x8b, TSS_PROTECTED, 0x67]);
  for (let register = 0; register < 16; register++) {
    const base = mode.data[2] === CODE || mode.bits === 16 ? CODE : 0;
    switch (dice.below(6)) {
      case 0:
        put(stateLayout.gpr + 8 * register, dice.next(), dice.next());
        break;
      case 1:
        put(stateLayout.gpr + 8 * register, dice.below(64) - 16, 0);
        break;
      default:
        put(stateLayout.gpr + 8 * register, dice.pick(pointers) - base + dice.below(256), 0);
    }
  }
  const offset = mode.code[2];
  put(stateLayout.gpr + 8 * 4, STACK - mode.stack[2], 0);
  put(stateLayout.rip, CODE - offset + dice.below(CODE_BYTES - 64));
  put(stateLayout.star, 0, (Selector.data << 16) | Selector.long);
  for (const target of [stateLayout.lstar, stateLayout.cstar, stateLayout.sysenterEip]) put(target, CODE + dice.below(CODE_BYTES));
  put(stateLayout.sysenterCs, Selector.long);
  put(stateLayout.sysenterEsp, STACK);
  put(stateLayout.pat, 0x0007_0406, 0x0007_0406);
  put(stateLayout.xcr0, 3);
  i32[stateLayout.x87Control >> 2] = 0x37f;
  i32[stateLayout.mxcsr >> 2] = dice.once(4) ? 0x1f80 & ~(0x80 << dice.below(6)) : 0x1f80;
  for (let i = 0; i < 64; i++) i32[(stateLayout.xmm >> 2) + i] = dice.next();
  if (mode.breakpoints) {
    put(stateLayout.dr0, DATA + dice.below(256));
    put(stateLayout.dr0 + 8, CODE + dice.below(CODE_BYTES));
    put(stateLayout.dr0 + 16, CODE + dice.below(CODE_BYTES));
    put(stateLayout.dr7, 0x000f_042a);
  }
  put(stateLayout.dr6, 0xffff_0ff0 | 0);
}
