/** A lower VTL's registers, which all lie in the run page. */
import { U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, U64Field } from '@paravisor/hcl-protocol';
import { Table } from '@paravisor/virt-core';
import type { Cr8Access, GuestRegisters, InitialRegisters, SegmentRegister, TableRegister } from '@paravisor/virt-core';
import { MSR_PAT, vtlMsrs } from '../abi/context.js';
import type { VtlState, Xmm } from '../abi/context.js';

const PRESENT = 1 << 7;
/** Bit 16 of VMX access rights; the run page has 16 bits, where a segment that is not present is not usable. */
const UNUSABLE = 1 << 16;
const SS = 2;

export class ExampleRegisters implements GuestRegisters, Cr8Access {
  readonly #state: VtlState;
  readonly #xmm: Xmm;

  constructor(state: VtlState, xmm: Xmm) {
    this.#state = state;
    this.#xmm = xmm;
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
    out.set(this.#cr(number));
  }

  writeCr(number: 0 | 2 | 3 | 4, value: ReadonlyU64): void {
    this.#cr(number).set(value);
  }

  #cr(number: 0 | 2 | 3 | 4): U64Field {
    const { cr0, cr2, cr3, cr4 } = this.#state;
    return number === 0 ? cr0 : number === 2 ? cr2 : number === 3 ? cr3 : cr4;
  }

  readEfer(out: U64): void {
    out.set(this.#state.efer);
  }

  writeEfer(value: ReadonlyU64): void {
    this.#state.efer.set(value);
  }

  readSegment(index: number, out: SegmentRegister): void {
    const { selector, attributes, limit, base } = this.#state.segments[index]!;
    out.selector = selector;
    out.attributes = (attributes & PRESENT) === 0 ? attributes | UNUSABLE : attributes;
    out.limit = limit;
    out.base.set(base);
  }

  writeSegment(index: number, { selector, attributes, limit, base }: SegmentRegister): void {
    const to = this.#state.segments[index]!;
    to.selector = selector;
    to.attributes = attributes & UNUSABLE ? 0 : attributes;
    to.limit = limit;
    to.base.set(base);
  }

  readTable(table: Table, out: TableRegister): void {
    const { gdtrBase, gdtrLimit, idtrBase, idtrLimit } = this.#state;
    out.limit = table === Table.Gdtr ? gdtrLimit : idtrLimit;
    out.base.set(table === Table.Gdtr ? gdtrBase : idtrBase);
  }

  writeTable(table: Table, { limit, base }: TableRegister): void {
    const state = this.#state;
    if (table === Table.Gdtr) state.gdtrLimit = limit;
    else state.idtrLimit = limit;
    (table === Table.Gdtr ? state.gdtrBase : state.idtrBase).set(base);
  }

  readMsr(msr: number, out: U64): boolean {
    const field = this.#msr(msr);
    if (field !== undefined) out.set(field);
    return field !== undefined;
  }

  writeMsr(msr: number, value: ReadonlyU64): boolean {
    const field = this.#msr(msr);
    field?.set(value);
    return field !== undefined;
  }

  #msr(msr: number): U64Field | undefined {
    const { msrs, pat } = this.#state;
    return msr === MSR_PAT ? pat : msrs[vtlMsrs.findIndex((known) => known === msr)];
  }

  readXmm(index: number, low: U64, high: U64): void {
    low.set(this.#xmm[2 * index]!);
    high.set(this.#xmm[2 * index + 1]!);
  }

  writeXmm(index: number, low: ReadonlyU64, high: ReadonlyU64): void {
    this.#xmm[2 * index]!.set(low);
    this.#xmm[2 * index + 1]!.set(high);
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

const RSP = 4;

/** What the VTLs of a VP share, from one to the other: general registers except RSP, and CR2 (TLFS 15.11.1). */
export function copyShared(from: VtlState, to: VtlState): void {
  for (let index = 0; index < from.gpr.length; index++) if (index !== RSP) to.gpr[index]!.set(from.gpr[index]!);
  to.cr2.set(from.cr2);
}
