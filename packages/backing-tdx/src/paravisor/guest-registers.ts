/** A lower VTL's registers: shared ones in the run page, private ones with the VTL, the rest in its VMCS. */
import { fxStateLayout, viewOf } from '@paravisor/hcl-protocol';
import type { ReadonlyU64, TdxRunPage, U64, U64Field } from '@paravisor/hcl-protocol';
import { Segment, Table } from '@paravisor/virt-core';
import type { GuestRegisters, SegmentRegister, TableRegister } from '@paravisor/virt-core';
import { Efer, EntryControl } from '../abi/index.js';
import { CR0_FIXED, CR4_FIXED } from './initial-state.js';
import type { LowerVtl } from './lower-vtl.js';

const RSP = 4;
const MSR_PAT = 0x277;

export class TdxGuestRegisters implements GuestRegisters {
  readonly #page: TdxRunPage;
  readonly #vtl: LowerVtl;
  readonly #xmm: readonly U64Field[];
  /** MSRs the driver switches around a run, by index. */
  readonly #msrs: ReadonlyMap<number, U64>;

  constructor(page: TdxRunPage, vtl: LowerVtl) {
    this.#page = page;
    this.#vtl = vtl;
    this.#xmm = viewOf(fxStateLayout, page.context.fxState).xmm;
    const { star, lstar, sfmask, kernelGsBase, tscAux } = vtl.registers;
    this.#msrs = new Map([
      [0xc0000081, star],
      [0xc0000082, lstar],
      [0xc0000084, sfmask],
      [0xc0000102, kernelGsBase],
      [0xc0000103, tscAux],
    ]);
  }

  readGpr(index: number, out: U64): void {
    out.set(index === RSP ? this.#vtl.registers.rsp : this.#page.context.gprList.gpr[index]!);
  }

  writeGpr(index: number, value: ReadonlyU64): void {
    if (index === RSP) this.#vtl.registers.rsp.set(value);
    else this.#page.context.gprList.gpr[index]!.set(value);
  }

  readRip(out: U64): void {
    out.set(this.#vtl.registers.rip);
  }

  writeRip(value: ReadonlyU64): void {
    this.#vtl.registers.rip.set(value);
  }

  readRflags(): number {
    return this.#vtl.registers.rflags.lo;
  }

  writeRflags(value: number): void {
    this.#vtl.registers.rflags.setParts(value, 0);
  }

  /** As the guest reads them: bits of the guest/host mask come from the shadow. CR2 is in the run page. */
  readCr(number: 0 | 2 | 3 | 4, out: U64): void {
    const { vmcs } = this.#vtl;
    switch (number) {
      case 0:
        this.#masked(vmcs.cr0.read(), vmcs.cr0Mask.read().lo, vmcs.cr0Shadow.read().lo, out);
        break;
      case 2:
        out.set(this.#page.context.vpState.cr2);
        break;
      case 3:
        out.set(vmcs.cr3.read());
        break;
      case 4:
        this.#masked(vmcs.cr4.read(), vmcs.cr4Mask.read().lo, vmcs.cr4Shadow.read().lo, out);
        break;
    }
  }

  #masked(value: ReadonlyU64, mask: number, shadow: number, out: U64): void {
    out.setParts((value.lo & ~mask) | (shadow & mask), value.hi);
  }

  /** CR0 and CR4 with the bits that are fixed in an L2 VM, and their shadows. */
  writeCr(number: 0 | 2 | 3 | 4, { lo, hi }: ReadonlyU64): void {
    const { vmcs } = this.#vtl;
    switch (number) {
      case 0:
        vmcs.cr0.writeParts(lo | CR0_FIXED, hi);
        vmcs.cr0Shadow.writeParts(lo, hi);
        break;
      case 2:
        this.#page.context.vpState.cr2.setParts(lo, hi);
        break;
      case 3:
        vmcs.cr3.writeParts(lo, hi);
        break;
      case 4:
        vmcs.cr4.writeParts(lo | CR4_FIXED, hi);
        vmcs.cr4Shadow.writeParts(lo, hi);
        break;
    }
  }

  readEfer(out: U64): void {
    out.set(this.#vtl.vmcs.efer.read());
  }

  /** The entry control for IA-32e mode follows LMA. */
  writeEfer({ lo, hi }: ReadonlyU64): void {
    const { efer, entryControls } = this.#vtl.vmcs;
    efer.writeParts(lo, hi);
    const controls = entryControls.read().lo;
    entryControls.writeParts((lo & Efer.Lma) !== 0 ? controls | EntryControl.Ia32eModeGuest : controls & ~EntryControl.Ia32eModeGuest, 0);
  }

  readSegment(index: number, out: SegmentRegister): void {
    const fields = this.#vtl.vmcs.segments[index]!;
    out.selector = fields.selector.read().lo;
    out.attributes = fields.attributes.read().lo;
    out.limit = fields.limit.read().lo;
    out.base.set(fields.base.read());
  }

  writeSegment(index: number, { selector, attributes, limit, base }: SegmentRegister): void {
    const fields = this.#vtl.vmcs.segments[index]!;
    fields.selector.writeParts(selector, 0);
    fields.attributes.writeParts(attributes, 0);
    fields.limit.writeParts(limit, 0);
    fields.base.write(base);
  }

  readTable(table: Table, out: TableRegister): void {
    const { gdtrBase, gdtrLimit, idtrBase, idtrLimit } = this.#vtl.vmcs;
    out.limit = (table === Table.Gdtr ? gdtrLimit : idtrLimit).read().lo >>> 0;
    out.base.set((table === Table.Gdtr ? gdtrBase : idtrBase).read());
  }

  writeTable(table: Table, { limit, base }: TableRegister): void {
    const { gdtrBase, gdtrLimit, idtrBase, idtrLimit } = this.#vtl.vmcs;
    (table === Table.Gdtr ? gdtrLimit : idtrLimit).writeParts(limit, 0);
    (table === Table.Gdtr ? gdtrBase : idtrBase).write(base);
  }

  readMsr(msr: number, out: U64): boolean {
    if (msr === MSR_PAT) {
      out.set(this.#vtl.vmcs.pat.read());
      return true;
    }
    const cell = this.#msrs.get(msr);
    if (cell !== undefined) out.set(cell);
    return cell !== undefined;
  }

  writeMsr(msr: number, value: ReadonlyU64): boolean {
    if (msr === MSR_PAT) {
      this.#vtl.vmcs.pat.write(value);
      return true;
    }
    const cell = this.#msrs.get(msr);
    cell?.set(value);
    return cell !== undefined;
  }

  readXmm(index: number, low: U64, high: U64): void {
    low.set(this.#xmm[2 * index]!);
    high.set(this.#xmm[2 * index + 1]!);
  }

  writeXmm(index: number, low: ReadonlyU64, high: ReadonlyU64): void {
    this.#xmm[2 * index]!.set(low);
    this.#xmm[2 * index + 1]!.set(high);
  }

  /** DPL of SS (SDM volume 3, 25.4.1). */
  cpl(): number {
    return (this.#vtl.vmcs.segments[Segment.Ss]!.attributes.read().lo >> 5) & 3;
  }
}
