/** A lower VTL's registers, which all lie in the run page. */
import { U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { Cr8Access, GuestRegisters, InitialRegisters, SegmentRegister } from '@paravisor/virt-core';
import type { VtlState } from '../abi/context.js';

const PRESENT = 1 << 7;
/** Bit 16 of VMX access rights; the run page has 16 bits, where a segment that is not present is not usable. */
const UNUSABLE = 1 << 16;
const SS = 2;

export class ExampleRegisters implements GuestRegisters, Cr8Access {
  readonly #state: VtlState;

  constructor(state: VtlState) {
    this.#state = state;
  }

  readGpr(index: number, out: U64): void {
    out.set(this.#state.gpr[index]!);
  }

  writeGpr(index: number, value: ReadonlyU64): void {
    this.#state.gpr[index]!.set(value);
  }

  readRip(out: U64): void {
    out.set(this.#state.rip);
  }

  writeRip(value: ReadonlyU64): void {
    this.#state.rip.set(value);
  }

  readRflags(): number {
    return this.#state.rflags.lo;
  }

  writeRflags(value: number): void {
    this.#state.rflags.setParts(value, 0);
  }

  readCr(number: 0 | 2 | 3 | 4, out: U64): void {
    const { cr0, cr2, cr3, cr4 } = this.#state;
    out.set(number === 0 ? cr0 : number === 2 ? cr2 : number === 3 ? cr3 : cr4);
  }

  writeCr2(value: ReadonlyU64): void {
    this.#state.cr2.set(value);
  }

  readEfer(out: U64): void {
    out.set(this.#state.efer);
  }

  readSegment(index: number, out: SegmentRegister): void {
    const { selector, attributes, limit, base } = this.#state.segments[index]!;
    out.selector = selector;
    out.attributes = (attributes & PRESENT) === 0 ? attributes | UNUSABLE : attributes;
    out.limit = limit;
    out.base.set(base);
  }

  /** DPL of SS. */
  cpl(): number {
    return (this.#state.segments[SS]!.attributes >>> 5) & 3;
  }

  readCr8(): number {
    return this.#state.cr8.lo;
  }

  writeCr8(value: number): void {
    this.#state.cr8.setParts(value, 0);
  }
}

/** Gives a lower VTL its start state, whatever it had before. */
export function initializeState(state: VtlState, registers: InitialRegisters): void {
  const cell = new U64();
  for (const [index, value] of registers.gpr.entries()) state.gpr[index]!.set(cell.setBigInt(value));
  for (const name of ['rip', 'rflags', 'cr0', 'cr3', 'cr4', 'efer', 'pat'] as const) state[name].set(cell.setBigInt(registers[name]));
  state.cr2.setParts(0, 0);
  state.cr8.setParts(0, 0);
  state.gdtrBase.set(cell.setBigInt(registers.gdtr.base));
  state.gdtrLimit = registers.gdtr.limit;
  state.idtrBase.set(cell.setBigInt(registers.idtr.base));
  state.idtrLimit = registers.idtr.limit;
  for (const [index, segment] of registers.segments.entries()) {
    const to = state.segments[index]!;
    to.selector = segment.selector;
    to.attributes = segment.attributes & UNUSABLE ? 0 : segment.attributes;
    to.limit = segment.limit;
    to.base.set(cell.setBigInt(segment.base));
  }
  state.interruptibility = 0;
  state.windows = 0;
  state.entryInfo = 0;
}
