import type { Linear } from '../code/block.js';
import { Segment, SEGMENT_SIZE, STATE_SIZE, StateOffset } from '../memory/layout.js';
import type { MemorySpace } from '../memory/space.js';

/** Control register bits (SDM volume 3, 2.5). */
export const Cr0 = { pe: 1 << 0, mp: 1 << 1, em: 1 << 2, ts: 1 << 3, et: 1 << 4, ne: 1 << 5, wp: 1 << 16, am: 1 << 18, nw: 1 << 29, cd: 1 << 30, pg: 1 << 31 } as const;
export const Cr4 = {
  tsd: 1 << 2, de: 1 << 3, pse: 1 << 4, pae: 1 << 5, mce: 1 << 6, pge: 1 << 7, pce: 1 << 8, osfxsr: 1 << 9,
  osxmmexcpt: 1 << 10, umip: 1 << 11, la57: 1 << 12, fsgsbase: 1 << 16, pcide: 1 << 17, osxsave: 1 << 18, smep: 1 << 20, smap: 1 << 21,
} as const;
export const Efer = { sce: 1 << 0, lme: 1 << 8, lma: 1 << 10, nxe: 1 << 11, svme: 1 << 12 } as const;

/** Bits of a segment record's attributes, in VMX access-rights order. */
export const Attribute = { type: 0xf, s: 1 << 4, dpl: 3 << 5, p: 1 << 7, avl: 1 << 12, l: 1 << 13, db: 1 << 14, g: 1 << 15 } as const;

/** Bits of `interruptibility`, as in VMX (SDM volume 3, table 25-3). */
export const Shadow = { sti: 1, movSs: 2, nmi: 8 } as const;

const TWO_32 = 2 ** 32;

/** Low half of a linear address or of any exact integer. */
export function lowHalf(value: number): number {
  return value | 0;
}

/** High half. */
export function highHalf(value: number): number {
  return Math.floor(value / TWO_32) | 0;
}

/** The signed number of two halves: exact for canonical addresses. */
export function joinHalves(lo: number, hi: number): number {
  return hi * TWO_32 + (lo >>> 0);
}

/** Bits 63:47 all equal. */
export function isCanonical(linear: Linear): boolean {
  return linear >= -(2 ** 47) && linear < 2 ** 47;
}

/** A register context's state area, by name. */
export class Registers {
  readonly #space: MemorySpace;
  readonly start: number;
  /** The state area's words. */
  readonly i32: Int32Array;
  readonly u16: Uint16Array;
  /** Something that the execution mode is made of may have changed. */
  modeIsStale = true;

  constructor(space: MemorySpace, start: number) {
    this.#space = space;
    this.start = start;
    this.i32 = new Int32Array(space.platform.buffer, start, STATE_SIZE / 4);
    this.u16 = new Uint16Array(space.platform.buffer, start, STATE_SIZE / 2);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#space.platform.buffer, this.start, STATE_SIZE);
  }

  lo(offset: number): number {
    return this.i32[offset >> 2]!;
  }

  hi(offset: number): number {
    return this.i32[(offset >> 2) + 1]!;
  }

  set(offset: number, lo: number, hi: number): void {
    this.i32[offset >> 2] = lo;
    this.i32[(offset >> 2) + 1] = hi;
  }

  /** A 64-bit field as a signed number; exact if it is a canonical address. */
  number(offset: number): number {
    return joinHalves(this.lo(offset), this.hi(offset));
  }

  setNumber(offset: number, value: number): void {
    this.set(offset, lowHalf(value), highHalf(value));
  }

  gprLo(register: number): number {
    return this.i32[(StateOffset.gpr >> 2) + 2 * register]!;
  }

  gprHi(register: number): number {
    return this.i32[(StateOffset.gpr >> 2) + 2 * register + 1]!;
  }

  gpr(register: number): number {
    return this.number(StateOffset.gpr + 8 * register);
  }

  setGpr(register: number, lo: number, hi: number): void {
    this.set(StateOffset.gpr + 8 * register, lo, hi);
  }

  get rip(): Linear {
    return this.number(StateOffset.rip);
  }

  set rip(value: Linear) {
    this.setNumber(StateOffset.rip, value);
  }

  get systemFlags(): number {
    return this.lo(StateOffset.systemFlags);
  }

  set systemFlags(value: number) {
    this.i32[StateOffset.systemFlags >> 2] = value;
  }

  get interruptibility(): number {
    return this.lo(StateOffset.interruptibility);
  }

  set interruptibility(value: number) {
    this.i32[StateOffset.interruptibility >> 2] = value;
  }

  /** DR6 bits of a #DB that is due when no shadow of MOV SS holds it off. */
  get pendingDebug(): number {
    return this.lo(StateOffset.pendingDebug);
  }

  set pendingDebug(bits: number) {
    this.i32[StateOffset.pendingDebug >> 2] = bits;
  }

  selector(segment: number): number {
    return this.u16[(StateOffset.segments + segment * SEGMENT_SIZE) >> 1]!;
  }

  attributes(segment: number): number {
    return this.u16[(StateOffset.segments + segment * SEGMENT_SIZE + 2) >> 1]!;
  }

  limit(segment: number): number {
    return this.lo(StateOffset.segments + segment * SEGMENT_SIZE + 4) >>> 0;
  }

  base(segment: number): Linear {
    return this.number(StateOffset.segments + segment * SEGMENT_SIZE + 8);
  }

  setSegment(segment: number, selector: number, attributes: number, limit: number, baseLo: number, baseHi: number): void {
    const { i32 } = this;
    const at = (StateOffset.segments + segment * SEGMENT_SIZE) >> 2;
    const rights = (selector & 0xffff) | (attributes << 16);
    // An interrupt and its return mostly load what is there.
    if (i32[at] === rights && i32[at + 1] === (limit | 0) && i32[at + 2] === baseLo && i32[at + 3] === baseHi) return;
    i32[at] = rights;
    i32[at + 1] = limit;
    i32[at + 2] = baseLo;
    i32[at + 3] = baseHi;
    this.modeIsStale = true;
  }

  /** Makes a data segment null and unusable; base and limit stay as they are. */
  dropSegment(segment: number): void {
    this.i32[(StateOffset.segments + segment * SEGMENT_SIZE) >> 2] = 0;
    this.modeIsStale = true;
  }

  setSegmentBase(segment: number, lo: number, hi: number): void {
    this.set(StateOffset.segments + segment * SEGMENT_SIZE + 8, lo, hi);
    this.modeIsStale = true;
  }

  get gdtrLimit(): number {
    return this.lo(StateOffset.gdtrLimit) >>> 0;
  }

  get gdtrBase(): Linear {
    return this.number(StateOffset.gdtrBase);
  }

  /** CR0.PE is clear. */
  get isReal(): boolean {
    return !(this.lo(StateOffset.cr0) & Cr0.pe);
  }

  /** EFER.LMA: IA-32e mode, 64-bit or compatibility. */
  get isLongMode(): boolean {
    return (this.lo(StateOffset.efer) & Efer.lma) !== 0;
  }

  /** Current privilege level: SS's DPL, which on every way into a ring equals CS's. */
  get cpl(): number {
    return (this.attributes(Segment.ss) >> 5) & 3;
  }

  /** CPL is at most IOPL: ports, CLI and STI are allowed, and POPF and IRET change IF. */
  get hasIoPrivilege(): boolean {
    return this.cpl <= ((this.systemFlags >> 12) & 3);
  }
}
