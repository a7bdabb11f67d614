/** A lower VTL's registers in its VMSA (APM volume 2, table B-4). */
import { VIntr } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, U64, U64Field, Vmsa } from '@paravisor/hcl-protocol';
import { Segment } from '@paravisor/virt-core';
import type { GuestRegisters, SegmentRegister, Table, TableRegister } from '@paravisor/virt-core';
import { Efer, accessRightsOf, dplOf, lowGprs, segmentSelectors, tableSelectors, vmsaAttributesOf } from '../abi/index.js';

/** The general registers in the order RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
export const gprFields = (vmsa: Vmsa): readonly U64Field[] => [...lowGprs.map((name) => vmsa[name]), ...vmsa.r8to15];

const MSR_TSC_AUX = 0xc0000103;

/** 64-bit MSRs of the VMSA by index. */
const msrFields = (vmsa: Vmsa): ReadonlyMap<number, U64Field> =>
  new Map([
    [0x174, vmsa.sysenterCs],
    [0x175, vmsa.sysenterEsp],
    [0x176, vmsa.sysenterEip],
    [0x277, vmsa.pat],
    [0xc0000081, vmsa.star],
    [0xc0000082, vmsa.lstar],
    [0xc0000083, vmsa.cstar],
    [0xc0000084, vmsa.sfmask],
    [0xc0000102, vmsa.kernelGsBase],
  ]);

/** Registers through the VMSA: nothing is cached, every write is there for the next entry. */
export class SnpGuestRegisters implements GuestRegisters {
  readonly #vmsa: Vmsa;
  readonly #gpr: readonly U64Field[];
  readonly #msrs: ReadonlyMap<number, U64Field>;

  constructor(vmsa: Vmsa) {
    this.#vmsa = vmsa;
    this.#msrs = msrFields(vmsa);
    this.#gpr = gprFields(vmsa);
  }

  readGpr(index: number, out: U64): void {
    out.set(this.#gpr[index]!);
  }

  writeGpr(index: number, value: ReadonlyU64): void {
    this.#gpr[index]!.set(value);
  }

  readRip(out: U64): void {
    out.set(this.#vmsa.rip);
  }

  writeRip(value: ReadonlyU64): void {
    this.#vmsa.rip.set(value);
  }

  readRflags(): number {
    return this.#vmsa.rflags.lo;
  }

  writeRflags(value: number): void {
    this.#vmsa.rflags.setParts(value, 0);
  }

  readCr(number: 0 | 2 | 3 | 4, out: U64): void {
    const { cr0, cr2, cr3, cr4 } = this.#vmsa;
    out.set(number === 0 ? cr0 : number === 2 ? cr2 : number === 3 ? cr3 : cr4);
  }

  writeCr(number: 0 | 2 | 3 | 4, value: ReadonlyU64): void {
    const { cr0, cr2, cr3, cr4 } = this.#vmsa;
    (number === 0 ? cr0 : number === 2 ? cr2 : number === 3 ? cr3 : cr4).set(value);
  }

  readEfer(out: U64): void {
    out.set(this.#vmsa.efer);
  }

  /** SVME stays set: the processor runs no VMSA without it (APM 15.36.3). */
  writeEfer({ lo, hi }: ReadonlyU64): void {
    this.#vmsa.efer.setParts(lo | Efer.Svme, hi);
  }

  readSegment(index: number, out: SegmentRegister): void {
    const from = this.#vmsa.selectors[segmentSelectors[index]!]!;
    out.selector = from.selector;
    out.attributes = accessRightsOf(from.attributes);
    out.limit = from.limit;
    out.base.set(from.base);
  }

  /** The privilege level goes with SS. */
  writeSegment(index: number, { selector, attributes, limit, base }: SegmentRegister): void {
    const to = this.#vmsa.selectors[segmentSelectors[index]!]!;
    to.selector = selector;
    to.attributes = vmsaAttributesOf(attributes);
    to.limit = limit;
    to.base.set(base);
    if (index === Segment.Ss) this.#vmsa.cpl = dplOf(to.attributes);
  }

  readTable(table: Table, out: TableRegister): void {
    const from = this.#vmsa.selectors[tableSelectors[table]]!;
    out.limit = from.limit;
    out.base.set(from.base);
  }

  writeTable(table: Table, { limit, base }: TableRegister): void {
    const to = this.#vmsa.selectors[tableSelectors[table]]!;
    to.limit = limit;
    to.base.set(base);
  }

  readMsr(msr: number, out: U64): boolean {
    if (msr === MSR_TSC_AUX) {
      out.setParts(this.#vmsa.tscAux, 0);
      return true;
    }
    const field = this.#msrs.get(msr);
    if (field !== undefined) out.set(field);
    return field !== undefined;
  }

  writeMsr(msr: number, value: ReadonlyU64): boolean {
    if (msr === MSR_TSC_AUX) {
      this.#vmsa.tscAux = value.lo;
      return true;
    }
    const field = this.#msrs.get(msr);
    field?.set(value);
    return field !== undefined;
  }

  readXmm(index: number, low: U64, high: U64): void {
    low.set(this.#vmsa.xmm[2 * index]!);
    high.set(this.#vmsa.xmm[2 * index + 1]!);
  }

  writeXmm(index: number, low: ReadonlyU64, high: ReadonlyU64): void {
    this.#vmsa.xmm[2 * index]!.set(low);
    this.#vmsa.xmm[2 * index + 1]!.set(high);
  }

  cpl(): number {
    return this.#vmsa.cpl;
  }

  /** Task priority of the virtual interrupt control, the guest's CR8. */
  readCr8(): number {
    return this.#vmsa.vIntrCntrl.lo & VIntr.TprMask;
  }

  writeCr8(value: number): void {
    const { vIntrCntrl } = this.#vmsa;
    vIntrCntrl.setParts((vIntrCntrl.lo & ~VIntr.TprMask) | (value & VIntr.TprMask), vIntrCntrl.hi);
  }
}
