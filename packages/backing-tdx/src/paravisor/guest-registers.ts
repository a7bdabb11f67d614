/** A lower VTL's registers: shared ones in the run page, private ones with the VTL, the rest in its VMCS. */
import type { ReadonlyU64, TdxRunPage, U64 } from '@paravisor/hcl-protocol';
import { Segment } from '@paravisor/virt-core';
import type { GuestRegisters, SegmentRegister } from '@paravisor/virt-core';
import type { LowerVtl } from './lower-vtl.js';

const RSP = 4;

export class TdxGuestRegisters implements GuestRegisters {
  readonly #page: TdxRunPage;
  readonly #vtl: LowerVtl;

  constructor(page: TdxRunPage, vtl: LowerVtl) {
    this.#page = page;
    this.#vtl = vtl;
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
    this.#vtl.events.instructionFinished();
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

  writeCr2(value: ReadonlyU64): void {
    this.#page.context.vpState.cr2.set(value);
  }

  readEfer(out: U64): void {
    out.set(this.#vtl.vmcs.efer.read());
  }

  readSegment(index: number, out: SegmentRegister): void {
    const fields = this.#vtl.vmcs.segments[index]!;
    out.selector = fields.selector.read().lo;
    out.attributes = fields.attributes.read().lo;
    out.limit = fields.limit.read().lo;
    out.base.set(fields.base.read());
  }

  /** DPL of SS (SDM volume 3, 25.4.1). */
  cpl(): number {
    return (this.#vtl.vmcs.segments[Segment.Ss]!.attributes.read().lo >> 5) & 3;
  }
}
