import type { Linear } from '../code/block.js';
import { StateOffset } from '../memory/layout.js';
import { Cr4 } from './registers.js';
import type { Registers } from './registers.js';

/** DR6 and DR7 (SDM volume 3, 18.2.3 and 18.2.4). */
export const Dr6 = { hits: 0xf, bd: 1 << 13, bs: 1 << 14 } as const;
export const Dr7 = { enables: 0xff, generalDetect: 1 << 13 } as const;

/** What DR7 lets a breakpoint watch. */
const Watch = { execute: 0, write: 1, io: 2, access: 3 } as const;

/** Bytes of a breakpoint by its LEN field. */
const LENGTHS = [1, 2, 8, 4];

/**
 * The breakpoints of DR0 to DR7. While any is enabled the processor does one instruction at a time: breakpoints on code are looked at before it, accesses
 * collect in `hits` meanwhile, and become a #DB when the instruction has retired.
 */
export class DebugUnit {
  readonly #registers: Registers;
  /** Some breakpoint is enabled. */
  active = false;
  /** Some breakpoint watches data: every access must come to `noteAccess`. */
  watchesData = false;
  /** DR6 bits of the breakpoints that the instruction in progress has met. */
  hits = 0;
  /** DR7 as taken over last. */
  #taken = 0;

  constructor(registers: Registers) {
    this.#registers = registers;
  }

  #enabled(number: number): boolean {
    return (this.#registers.lo(StateOffset.dr7) & (3 << (2 * number))) !== 0;
  }

  #watch(number: number): number {
    return (this.#registers.lo(StateOffset.dr7) >>> (16 + 4 * number)) & 3;
  }

  /** An owner has changed DR7 between two runs. */
  get isStale(): boolean {
    return this.#registers.lo(StateOffset.dr7) !== this.#taken;
  }

  /** Takes over DR7; says whether data is watched now and was not, or the other way round. */
  update(): boolean {
    const watchedData = this.watchesData;
    this.#taken = this.#registers.lo(StateOffset.dr7);
    this.active = (this.#taken & Dr7.enables) !== 0;
    this.watchesData = false;
    for (let i = 0; i < 4; i++) if (this.#enabled(i) && (this.#watch(i) & 1) !== 0) this.watchesData = true;
    return watchedData !== this.watchesData;
  }

  /** Whether `size` bytes at an address touch a breakpoint, which is as long as LEN says and aligned to that. */
  #touches(number: number, address: number, size: number): boolean {
    const registers = this.#registers;
    const length = LENGTHS[(registers.lo(StateOffset.dr7) >>> (18 + 4 * number)) & 3]!;
    const at = registers.number(StateOffset.dr0 + 8 * number);
    const start = at - (((at % length) + length) % length);
    return address < start + length && start < address + size;
  }

  /** DR6 bits of the breakpoints on the instruction at a linear address. */
  codeHits(linear: Linear): number {
    let hits = 0;
    for (let i = 0; i < 4; i++) {
      if (this.#enabled(i) && this.#watch(i) === Watch.execute && this.#registers.number(StateOffset.dr0 + 8 * i) === linear) hits |= 1 << i;
    }
    return hits;
  }

  /** An explicit data access. */
  noteAccess(linear: Linear, size: number, write: boolean): void {
    for (let i = 0; i < 4; i++) {
      const watch = this.#watch(i);
      if (this.#enabled(i) && (watch === Watch.access || (watch === Watch.write && write)) && this.#touches(i, linear, size)) this.hits |= 1 << i;
    }
  }

  /** An access to I/O ports, which CR4.DE lets breakpoints watch. */
  notePort(port: number, size: number): void {
    if (!this.active || !(this.#registers.lo(StateOffset.cr4) & Cr4.de)) return;
    for (let i = 0; i < 4; i++) if (this.#enabled(i) && this.#watch(i) === Watch.io && this.#touches(i, port, size)) this.hits |= 1 << i;
  }
}
