/** A lower VTL's registers in its VMSA (APM volume 2, table B-4). */
import { VIntr } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, U64, U64Field, Vmsa } from '@paravisor/hcl-protocol';
import type { GuestRegisters, SegmentRegister } from '@paravisor/virt-core';
import { accessRightsOf, lowGprs, segmentSelectors } from '../abi/index.js';

/** The general registers in the order RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
export const gprFields = (vmsa: Vmsa): readonly U64Field[] => [...lowGprs.map((name) => vmsa[name]), ...vmsa.r8to15];

/** Registers through the VMSA: nothing is cached, every write is there for the next entry. */
export class SnpGuestRegisters implements GuestRegisters {
  readonly #vmsa: Vmsa;
  readonly #gpr: readonly U64Field[];

  constructor(vmsa: Vmsa) {
    this.#vmsa = vmsa;
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

  writeCr2(value: ReadonlyU64): void {
    this.#vmsa.cr2.set(value);
  }

  readEfer(out: U64): void {
    out.set(this.#vmsa.efer);
  }

  readSegment(index: number, out: SegmentRegister): void {
    const from = this.#vmsa.selectors[segmentSelectors[index]!]!;
    out.selector = from.selector;
    out.attributes = accessRightsOf(from.attributes);
    out.limit = from.limit;
    out.base.set(from.base);
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
