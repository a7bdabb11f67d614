import type { Intercepts, ProcessorClock, ProcessorExit, ProcessorOptions, VirtualApic } from '../contract.js';
import { StateOffset } from '../memory/layout.js';
import { ARITHMETIC_FLAGS, Flag, flagCode, FlagKind } from '../microop/flags.js';
import { PageAccess } from '../paging/index.js';
import { GUEST_FAULT, GuestFault } from './fault.js';
import type { Linear } from '../code/block.js';
import { ExecutionModes, LONG_MODE } from '../code/execution-mode.js';
import type { ExecutionMode } from '../code/execution-mode.js';
import type { DebugUnit } from './debug.js';
import type { Fault } from './fault.js';
import type { Mmu } from './mmu.js';
import { Cr0, Cr4, Efer, joinHalves, Shadow } from './registers.js';
import { VectorUnit } from '../simd/vector-unit.js';
import { X87Unit } from '../x87/unit.js';
import type { Registers } from './registers.js';
import { Stack } from './stack.js';

/** RFLAGS bits that software can change; the others are fixed or not kept. */
export const SYSTEM_FLAGS =
  Flag.tf | Flag.if | Flag.df | Flag.iopl | Flag.nt | Flag.rf | Flag.ac | Flag.vif | Flag.vip | Flag.id;

/** The arithmetic flags are bits already. */
const FLAGS_READY = flagCode(FlagKind.Ready, 4);

/** An event on its way through the IDT. */
export interface PendingEvent {
  /** `EventType`. */
  type: number;
  vector: number;
  /** -1 where there is none. */
  errorCode: number;
  /** Bytes to add to RIP: software events return behind their instruction. */
  length: number;
  /** A #DB after an instruction, not before one. */
  isTrap: boolean;
}

/** What RDRAND starts from, with the context's number. */
const RANDOM_START = 0x9e3779b9 | 0;

/** An access to descriptor tables and the TSS: supervisor, whatever the privilege level. */
export const IMPLICIT = PageAccess.Implicit;

/** A fresh exit record. */
export function createExit(): ProcessorExit {
  return {
    kind: 0, instructionLength: 0, gpa: 0, gvaLo: 0, gvaHi: 0, access: 0, vector: 0, hasErrorCode: 0, errorCode: 0, port: 0, size: 0, isIn: 0,
    isString: 0, isRep: 0, addressSize: 0, crAccess: 0, register: 0, tableAccess: 0, idtVectoring: 0, idtVectoringErrorCode: 0,
  };
}

/** Intercepts with none set. */
export function createIntercepts(): Intercepts {
  return {
    cpuid: false, hlt: false, pause: false, rdtsc: false, rdpmc: false, wbinvd: false, invd: false, xsetbv: false, vmcall: false, tdcall: false,
    descriptorTables: false, monitor: false, io: false, exceptions: 0, cr0Mask: 0, cr0Shadow: 0, cr4Mask: 0, cr4Shadow: 0, cr3Load: false,
    cr3Store: false, cr8Load: false, cr8Store: false, drAccess: false, interruptWindow: false, nmiWindow: false, msrBitmap: new Uint8Array(4096),
  };
}

/** What system instructions and event delivery work on: registers, memory, flags, and what the processor tells its owner. */
export class Core {
  readonly registers: Registers;
  readonly mmu: Mmu;
  readonly vendor: ProcessorOptions['vendor'];
  readonly clock: ProcessorClock;
  readonly exit: ProcessorExit = createExit();
  readonly intercepts: Intercepts = createIntercepts();
  readonly fault: Fault;
  readonly debug: DebugUnit;
  /** The instruction in progress has set RFLAGS.RF for the next one. */
  keepsResume = false;
  virtualApic: VirtualApic | null = null;
  readonly vector: VectorUnit;
  readonly x87: X87Unit;
  /** Something must be looked at before the next instruction: an event, a window, a shadow. */
  attention = true;
  /** The software event of an INT instruction. */
  readonly event: PendingEvent = { type: 0, vector: 0, errorCode: -1, length: 0, isTrap: false };
  /** Result of the last `read8` to `read64`, in halves. */
  lo = 0;
  hi = 0;
  readonly #bytes = new Uint8Array(16);
  readonly #view = new DataView(this.#bytes.buffer);
  /** The whole memory: for what `Stack` and `Mmu` find to lie in place. */
  readonly words: Int32Array;
  /** For pushes and pops of one instruction or delivery at a time. */
  readonly stack: Stack;
  readonly #modes: ExecutionModes;
  #mode: ExecutionMode = LONG_MODE;
  readonly #makeFlagsReady: (context: number) => number;
  readonly #flushed: () => void;

  /** `makeFlagsReady` is the interpreter's; `flushed` is told when translations have become invalid, `forget` when decoded code has. */
  constructor(
    registers: Registers,
    mmu: Mmu,
    options: ProcessorOptions,
    makeFlagsReady: (context: number) => number,
    flushed: () => void,
    forget: () => void,
  ) {
    this.registers = registers;
    this.words = new Int32Array(registers.bytes.buffer);
    this.mmu = mmu;
    this.fault = mmu.fault;
    this.debug = mmu.debug;
    this.vendor = options.vendor;
    this.clock = options.clock;
    this.vector = new VectorUnit(this, registers.bytes.buffer);
    this.x87 = new X87Unit(this, registers.bytes.buffer);
    registers.set(StateOffset.random, RANDOM_START ^ options.index, RANDOM_START);
    this.#makeFlagsReady = makeFlagsReady;
    this.#flushed = flushed;
    this.#modes = new ExecutionModes(forget);
    this.stack = new Stack(this);
  }

  /** The mode the registers are in now. */
  get mode(): ExecutionMode {
    if (this.registers.modeIsStale) {
      this.registers.modeIsStale = false;
      this.#mode = this.#modes.current(this.registers);
    }
    return this.#mode;
  }

  /** Ends the instruction with an exception. */
  raise(vector: number, errorCode: number): never {
    this.fault.vector = vector;
    this.fault.errorCode = errorCode;
    this.fault.nonCanonical = false;
    throw GUEST_FAULT;
  }

  readFlags(): number {
    const { registers } = this;
    if (registers.lo(StateOffset.flagKind) !== FLAGS_READY) this.#makeFlagsReady(registers.start);
    return (registers.lo(StateOffset.flagA) & ARITHMETIC_FLAGS) | (registers.systemFlags & SYSTEM_FLAGS) | Flag.fixed;
  }

  writeFlags(value: number): void {
    const { registers } = this;
    registers.set(StateOffset.flagA, value & ARITHMETIC_FLAGS, 0);
    registers.i32[StateOffset.flagKind >> 2] = FLAGS_READY;
    this.writeSystemFlags(value);
  }

  /** Changes the flags that are not lazy. */
  writeSystemFlags(value: number): void {
    const { registers } = this;
    const changed = registers.systemFlags ^ value;
    registers.systemFlags = value & SYSTEM_FLAGS;
    if (changed & Flag.ac) this.mmu.setPrivilege(registers.cpl);
    if (changed & (Flag.if | Flag.tf | Flag.rf)) this.attention = true;
  }

  /** Sets or clears ZF alone. */
  setZero(zero: boolean): void {
    const flags = this.readFlags();
    this.writeFlags(zero ? flags | Flag.zf : flags & ~Flag.zf);
  }

  /** Adds to the interruptibility state. */
  block(bits: number): void {
    this.registers.interruptibility |= bits;
    this.attention = true;
  }

  /** Ends the blocking of NMIs. */
  unblockNmi(): void {
    this.registers.interruptibility &= ~Shadow.nmi;
    this.attention = true;
  }

  /** Whether the virtual TSC may be read now. */
  get tscReadable(): boolean {
    return this.clock.readable?.() ?? true;
  }

  /** The virtual TSC now, an exact number. `Processor.retired` counts up to this instruction, without it. */
  readTsc(): number {
    return this.clock.ticks() + this.registers.number(StateOffset.tscOffset);
  }

  /** Reads up to 16 bytes. */
  readBytes(linear: Linear, size: number, access: number, into: Uint8Array): void {
    this.mmu.read(linear, size, access, into);
  }

  /** Writes up to 16 bytes at once: nothing is written if a part cannot be. */
  writeBytes(linear: Linear, size: number, access: number, from: Uint8Array): void {
    this.mmu.write(linear, size, access, from);
  }

  read8(linear: Linear, access: number): number {
    this.mmu.read(linear, 1, access, this.#bytes);
    return this.#bytes[0]!;
  }

  read16(linear: Linear, access: number): number {
    this.mmu.read(linear, 2, access, this.#bytes);
    return this.#view.getUint16(0, true);
  }

  read32(linear: Linear, access: number): number {
    const at = this.mmu.inPlace(linear, 4, access);
    if (at >= 0 && (at & 3) === 0) return this.words[at >>> 2]!;
    this.mmu.read(linear, 4, access, this.#bytes);
    return this.#view.getInt32(0, true);
  }

  /** Leaves the halves in `lo` and `hi`. */
  read64(linear: Linear, access: number): void {
    const at = this.mmu.inPlace(linear, 8, access);
    if (at >= 0 && (at & 3) === 0) {
      this.lo = this.words[at >>> 2]!;
      this.hi = this.words[(at >>> 2) + 1]!;
      return;
    }
    this.mmu.read(linear, 8, access, this.#bytes);
    this.lo = this.#view.getInt32(0, true);
    this.hi = this.#view.getInt32(4, true);
  }

  /** Reads 1, 2, 4 or 8 bytes into `lo` and `hi`, zero-extended. */
  readSized(linear: Linear, size: number, access: number): void {
    if (size === 8) {
      this.read64(linear, access);
      return;
    }
    this.#view.setInt32(0, 0, true);
    this.#view.setInt32(4, 0, true);
    this.mmu.read(linear, size, access, this.#bytes);
    this.lo = this.#view.getInt32(0, true);
    this.hi = this.#view.getInt32(4, true);
  }

  /** Writes the low `size` bytes, at most 8, of two halves. */
  writeSized(linear: Linear, size: number, lo: number, hi: number, access: number): void {
    if (size === 8) {
      const at = this.mmu.inPlace(linear, 8, access | PageAccess.Write);
      if (at >= 0 && (at & 3) === 0) {
        this.words[at >>> 2] = lo;
        this.words[(at >>> 2) + 1] = hi;
        return;
      }
    }
    this.#view.setInt32(0, lo, true);
    this.#view.setInt32(4, hi, true);
    this.mmu.write(linear, size, access, this.#bytes);
  }

  write64(linear: Linear, lo: number, hi: number, access: number): void {
    this.writeSized(linear, 8, lo, hi, access);
  }

  /** Writes 16 bytes at once: nothing is written if a part cannot be. */
  write128(linear: Linear, words: readonly [number, number, number, number], access: number): void {
    words.forEach((word, i) => this.#view.setInt32(4 * i, word, true));
    this.mmu.write(linear, 16, access, this.#bytes);
  }

  /** The number left in `lo` and `hi`. */
  get value(): number {
    return joinHalves(this.lo, this.hi);
  }

  /** After a change of DR7. */
  debugChanged(): void {
    if (this.debug.update()) this.flushTranslations();
    this.attention = true;
  }

  /** Translations have become invalid. */
  flushTranslations(): void {
    this.mmu.flush();
    this.#flushed();
  }

  flushPage(linear: Linear): void {
    this.mmu.flushPage(linear);
    this.#flushed();
  }

  /** After a change from outside: brings the register entries of PAE paging up to date with CR3. Tables out of order leave them as they were. */
  reloadPdptes(): void {
    const { registers } = this;
    const paged = (registers.lo(StateOffset.cr0) & Cr0.pg) !== 0 && (registers.lo(StateOffset.cr4) & Cr4.pae) !== 0;
    if (!paged || registers.isLongMode) return;
    try {
      this.mmu.loadPdptes(registers.lo(StateOffset.cr3));
    } catch (problem) {
      if (!(problem instanceof GuestFault)) throw problem;
    }
  }

  /** After a change of control registers, EFER or privilege: adopts the mode; `flush` also empties the TLBs. */
  modeChanged(flush: boolean): void {
    const { registers } = this;
    const efer = registers.lo(StateOffset.efer);
    const paged = (registers.lo(StateOffset.cr0) & Cr0.pg) !== 0 && (registers.lo(StateOffset.cr4) & Cr4.pae) !== 0;
    const active = paged && (efer & Efer.lme) !== 0;
    registers.i32[StateOffset.efer >> 2] = active ? efer | Efer.lma : efer & ~Efer.lma;
    registers.modeIsStale = true;
    this.mmu.modeChanged();
    if (flush) this.flushTranslations();
    else this.#flushed();
  }
}
