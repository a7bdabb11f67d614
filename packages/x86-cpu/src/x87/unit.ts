import { createFloatEnvironment, EXTENDED, FloatClass, FloatFlag, indefiniteOf, unpack } from '../float/index.js';
import type { FloatEnvironment } from '../float/index.js';
import { StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Cr0 } from '../processor/registers.js';

/** Status word (SDM volume 1, 8.1.3). */
export const Status = { flags: 0x3f, stackFault: 0x40, summary: 0x80, c0: 0x100, c1: 0x200, c2: 0x400, c3: 0x4000, busy: 0x8000, conditions: 0x4700, topShift: 11 } as const;

/** Control word after FNINIT. */
export const CONTROL_RESET = 0x37f;

/** Significand bits by precision control (SDM volume 1, table 8-2); 1 is reserved. */
const PRECISION = [24, 64, 53, 64] as const;

/** The x87 of one register context: eight registers as a stack, control, status and tags, all in the state area. */
export class X87Unit {
  readonly env: FloatEnvironment = createFloatEnvironment();
  readonly #core: Core;
  readonly #view: DataView;
  /** A stack underflow (0) or overflow (1) happened in this instruction: C1 tells which; −1 for neither. */
  #stackFault = -1;

  constructor(core: Core, buffer: ArrayBufferLike) {
    this.#core = core;
    this.#view = new DataView(buffer, core.registers.start);
    // After RESET (SDM volume 3, table 10-1).
    this.#view.setUint16(StateOffset.x87Control, 0x40, true);
  }

  get control(): number {
    return this.#view.getUint16(StateOffset.x87Control, true);
  }

  /** Bit 6 is one always. */
  set control(value: number) {
    this.#view.setUint16(StateOffset.x87Control, (value & 0x1f3f) | 0x40, true);
    const { status } = this;
    this.status = status;
  }

  get status(): number {
    return this.#view.getUint16(StateOffset.x87Status, true);
  }

  /** The summary and busy bits follow from the flags and the masks. */
  set status(value: number) {
    const pending = (value & Status.flags & ~this.control) !== 0;
    const rest = value & 0x7f7f;
    this.#view.setUint16(StateOffset.x87Status, pending ? rest | Status.summary | Status.busy : rest, true);
  }

  /** Bit n: register n is in use. */
  get tags(): number {
    return this.#view.getUint16(StateOffset.x87Tag, true);
  }

  set tags(value: number) {
    this.#view.setUint16(StateOffset.x87Tag, value & 0xff, true);
  }

  get top(): number {
    return (this.status >> Status.topShift) & 7;
  }

  set top(value: number) {
    this.status = (this.status & ~(7 << Status.topShift)) | ((value & 7) << Status.topShift);
  }

  /** Register number of ST(i). */
  physical(i: number): number {
    return (this.top + i) & 7;
  }

  isEmpty(i: number): boolean {
    return (this.tags & (1 << this.physical(i))) === 0;
  }

  /** The 80 bits of ST(i), empty or not. */
  bits(i: number): bigint {
    const at = StateOffset.x87 + 16 * this.physical(i);
    return this.#view.getBigUint64(at, true) | (BigInt(this.#view.getUint16(at + 8, true)) << 64n);
  }

  setBits(i: number, value: bigint): void {
    const register = this.physical(i);
    const at = StateOffset.x87 + 16 * register;
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    this.#view.setUint16(at + 8, Number(value >> 64n), true);
    this.tags |= 1 << register;
  }

  free(i: number): void {
    this.tags &= ~(1 << this.physical(i));
  }

  /** #NM while the x87 is another task's or is emulated; a waiting instruction takes a pending exception as #MF (SDM volume 3, table 2-2). */
  require(waiting: boolean): void {
    const cr0 = this.#core.registers.lo(StateOffset.cr0);
    if (cr0 & (Cr0.em | Cr0.ts)) this.#core.raise(Vector.nm, -1);
    if (waiting) this.takePending();
  }

  takePending(): void {
    if (this.status & Status.summary && this.#core.registers.lo(StateOffset.cr0) & Cr0.ne) this.#core.raise(Vector.mf, -1);
  }

  /** Takes the control word over for an instruction's arithmetic. */
  begin(): FloatEnvironment {
    const { env, control } = this;
    env.flags = 0;
    env.rounding = (control >> 10) & 3;
    env.masked = control & Status.flags;
    env.roundedUp = false;
    this.#stackFault = -1;
    return env;
  }

  get precision(): number {
    return PRECISION[(this.control >> 8) & 3]!;
  }

  /** ST(i) as an operand: an empty register is a stack fault, and reads as the indefinite. */
  operand(i: number): bigint {
    if (!this.isEmpty(i)) return this.bits(i);
    this.underflow();
    return indefiniteOf(EXTENDED);
  }

  underflow(): void {
    this.env.flags |= FloatFlag.Invalid;
    this.#stackFault = 0;
  }

  get hasStackFault(): boolean {
    return this.#stackFault >= 0;
  }

  /** The exceptions so far keep the instruction from storing its result (SDM volume 1, 8.5: invalid, denormal, divide by zero). */
  get isBlocked(): boolean {
    const { env } = this;
    return (env.flags & ~env.masked & (FloatFlag.Invalid | FloatFlag.Denormal | FloatFlag.DivideByZero)) !== 0;
  }

  /** Moves the instruction's flags and C1 into the status word; `keepC1`: only a stack fault changes C1. */
  end(keepC1 = false): void {
    const { env } = this;
    // An invalid operation is found before a denormal operand.
    if (env.flags & FloatFlag.Invalid) env.flags &= ~FloatFlag.Denormal;
    let { flags } = env;
    if (this.isBlocked) flags &= FloatFlag.Invalid | FloatFlag.Denormal | FloatFlag.DivideByZero;
    let status = (keepC1 && this.#stackFault < 0 ? this.status : this.status & ~Status.c1) | flags;
    if (this.#stackFault >= 0) status |= Status.stackFault | (this.#stackFault === 1 ? Status.c1 : 0);
    else if (env.roundedUp && flags & FloatFlag.Precision) status |= Status.c1;
    this.status = status;
  }

  /** Sets C0, C2 and C3 to these bits. */
  setConditions(bits: number): void {
    this.status = (this.status & ~(Status.c0 | Status.c2 | Status.c3)) | bits;
  }

  /** Pushes a value, after `begin` and before `end`. */
  push(value: bigint): void {
    if (!this.isEmpty(7)) {
      this.env.flags |= FloatFlag.Invalid;
      // An empty operand has come first.
      if (this.#stackFault < 0) this.#stackFault = 1;
      if (this.isBlocked) return;
      value = indefiniteOf(EXTENDED);
    } else if (this.isBlocked) {
      return;
    }
    this.top -= 1;
    this.setBits(0, value);
  }

  pop(): void {
    this.free(0);
    this.top += 1;
  }

  /** FNINIT: registers keep their bits. */
  reset(): void {
    this.#view.setUint16(StateOffset.x87Status, 0, true);
    this.control = CONTROL_RESET;
    this.tags = 0;
    for (const at of [StateOffset.x87Opcode, StateOffset.x87InstructionSelector, StateOffset.x87DataSelector]) this.#view.setUint16(at, 0, true);
    for (const at of [StateOffset.x87Instruction, StateOffset.x87Data]) this.#view.setBigUint64(at, 0n, true);
  }

  /** Two tag bits a register, as FNSTENV stores them: 0 valid, 1 zero, 2 special, 3 empty. */
  get fullTags(): number {
    let word = 0;
    for (let register = 0; register < 8; register++) {
      const at = StateOffset.x87 + 16 * register;
      const bits = this.#view.getBigUint64(at, true) | (BigInt(this.#view.getUint16(at + 8, true)) << 64n);
      const value = unpack(EXTENDED, bits);
      const tag = (this.tags & (1 << register)) === 0 ? 3 : value.class === FloatClass.Zero ? 1 : value.class === FloatClass.Finite && !value.denormal ? 0 : 2;
      word |= tag << (2 * register);
    }
    return word;
  }

  set fullTags(word: number) {
    let tags = 0;
    for (let register = 0; register < 8; register++) if (((word >> (2 * register)) & 3) !== 3) tags |= 1 << register;
    this.tags = tags;
  }
}
