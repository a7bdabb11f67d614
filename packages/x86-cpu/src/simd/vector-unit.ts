import { OperandKind } from '../decode/instruction.js';
import type { Instruction, Operand } from '../decode/instruction.js';
import { createFloatEnvironment, FloatFlag } from '../float/index.js';
import type { FloatEnvironment } from '../float/index.js';
import { StateOffset } from '../memory/layout.js';
import type { Core } from '../processor/core.js';
import { Vector } from '../processor/fault.js';
import { Cr0, Cr4 } from '../processor/registers.js';
import { operandAddress } from '../system/operands.js';
import { lanesOf, newLanes } from './lanes.js';
import type { Lanes } from './lanes.js';

/** Fields of MXCSR (SDM volume 1, 10.2.3). */
export const Mxcsr = { flags: 0x3f, daz: 1 << 6, maskShift: 7, roundingShift: 13, ftz: 1 << 15, reset: 0x1f80, writable: 0xffff } as const;

const MMX_EXPONENT = 0xffff;

/**
 * The vector registers of one context and the two operands of the instruction in progress: `a` the destination, `b` the source. An instruction works on
 * these and writes its destination last, so that a fault leaves everything as it was.
 */
export class VectorUnit {
  readonly a: Lanes = newLanes();
  readonly b: Lanes = newLanes();
  /** XMM0 .. XMM15. */
  readonly xmm: readonly Lanes[];
  readonly env: FloatEnvironment = createFloatEnvironment();
  readonly #core: Core;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(core: Core, buffer: ArrayBufferLike) {
    this.#core = core;
    const { start } = core.registers;
    this.xmm = Array.from({ length: 16 }, (_, i) => lanesOf(buffer, start + StateOffset.xmm + 16 * i));
    this.#view = new DataView(buffer, start);
    this.#bytes = new Uint8Array(buffer, start);
    this.mxcsr = Mxcsr.reset;
  }

  get mxcsr(): number {
    return this.#view.getUint32(StateOffset.mxcsr, true);
  }

  set mxcsr(value: number) {
    this.#view.setUint32(StateOffset.mxcsr, value, true);
  }

  /** #UD or #NM unless XMM instructions may be used now (SDM volume 3, table 13-1). */
  requireSse(): void {
    const { registers } = this.#core;
    const cr0 = registers.lo(StateOffset.cr0);
    if (cr0 & Cr0.em || !(registers.lo(StateOffset.cr4) & Cr4.osfxsr)) this.#core.raise(Vector.ud, -1);
    if (cr0 & Cr0.ts) this.#core.raise(Vector.nm, -1);
  }

  /** The same for MMX: a pending exception of the x87 comes first (SDM volume 3, 12.1). The x87's stack becomes registers. */
  requireMmx(): void {
    const { registers } = this.#core;
    const cr0 = registers.lo(StateOffset.cr0);
    if (cr0 & Cr0.em) this.#core.raise(Vector.ud, -1);
    if (cr0 & Cr0.ts) this.#core.raise(Vector.nm, -1);
    const status = this.#view.getUint16(StateOffset.x87Status, true);
    if (status & 0x80) this.#core.raise(Vector.mf, -1);
  }

  /** What an MMX instruction does to the x87: top of stack 0, all registers in use. */
  enterMmx(): void {
    const status = this.#view.getUint16(StateOffset.x87Status, true);
    this.#view.setUint16(StateOffset.x87Status, status & ~0x3800, true);
    this.#view.setUint16(StateOffset.x87Tag, 0xff, true);
  }

  leaveMmx(): void {
    this.#view.setUint16(StateOffset.x87Tag, 0, true);
  }

  /** Which checks an instruction needs: that of each kind of register it names; vectors in memory alone never occur. */
  require(instruction: Instruction): void {
    let mmx = false;
    let sse = false;
    for (let i = 0; i < instruction.operandCount; i++) {
      const { kind } = instruction.operands[i]!;
      if (kind === OperandKind.Mmx) mmx = true;
      else if (kind === OperandKind.Xmm) sse = true;
    }
    if (sse) this.requireSse();
    if (mmx) this.requireMmx();
  }

  /** Reads an operand into `into`; what it does not fill is zero. `aligned`: 16 bytes of memory must be so, else #GP(0). */
  read(instruction: Instruction, operand: Operand, into: Lanes, aligned = true): void {
    const { kind, reg, size } = operand;
    if (kind === OperandKind.Xmm) {
      into.u8.set(this.xmm[reg]!.u8);
      return;
    }
    into.i32.fill(0);
    if (kind === OperandKind.Mmx) {
      for (let i = 0; i < 8; i++) into.u8[i] = this.#bytes[StateOffset.x87 + 16 * reg + i]!;
    } else if (kind === OperandKind.Mem) {
      const core = this.#core;
      const address = operandAddress(core, instruction);
      if (aligned && size === 16 && (address & 15) !== 0) core.raise(Vector.gp, 0);
      core.readBytes(address, size, core.mmu.mode, into.u8);
    } else {
      const { registers } = this.#core;
      into.i32[0] = registers.gprLo(reg);
      if (size === 8) into.i32[1] = registers.gprHi(reg);
    }
  }

  /** Writes an operand's size of `from`. A register of 16 bytes is written whole. */
  write(instruction: Instruction, operand: Operand, from: Lanes, aligned = true): void {
    const { kind, reg, size } = operand;
    if (kind === OperandKind.Xmm) {
      this.xmm[reg]!.u8.set(from.u8);
    } else if (kind === OperandKind.Mmx) {
      this.writeMmx(reg, from);
    } else if (kind === OperandKind.Mem) {
      const core = this.#core;
      const address = operandAddress(core, instruction, true);
      if (aligned && size === 16 && (address & 15) !== 0) core.raise(Vector.gp, 0);
      core.writeBytes(address, size, core.mmu.mode, from.u8);
    } else {
      this.#core.registers.setGpr(reg, from.i32[0]!, size === 8 ? from.i32[1]! : 0);
    }
  }

  writeMmx(reg: number, from: Lanes): void {
    const at = StateOffset.x87 + 16 * reg;
    for (let i = 0; i < 8; i++) this.#bytes[at + i] = from.u8[i]!;
    this.#view.setUint16(at + 8, MMX_EXPONENT, true);
  }

  /** Takes MXCSR over for an instruction's arithmetic. */
  beginFloat(): FloatEnvironment {
    const { env, mxcsr } = this;
    env.flags = 0;
    env.rounding = (mxcsr >> Mxcsr.roundingShift) & 3;
    env.masked = (mxcsr >> Mxcsr.maskShift) & Mxcsr.flags;
    env.denormalsAreZero = (mxcsr & Mxcsr.daz) !== 0;
    env.flushToZero = (mxcsr & Mxcsr.ftz) !== 0;
    return env;
  }

  /** Leaves the flags in MXCSR; #XM, or #UD, for one that is not masked (SDM volume 1, 11.5.2). Before the destination is written. */
  endFloat(): void {
    const { env } = this;
    if (env.flags === 0) return;
    const before = FloatFlag.Invalid | FloatFlag.Denormal | FloatFlag.DivideByZero;
    // An exception found before the arithmetic keeps it from being done.
    if (env.flags & before & ~env.masked) env.flags &= before;
    this.mxcsr |= env.flags;
    if (env.flags & ~env.masked) {
      const { registers } = this.#core;
      this.#core.raise(registers.lo(StateOffset.cr4) & Cr4.osxmmexcpt ? Vector.xm : Vector.ud, -1);
    }
  }
}
