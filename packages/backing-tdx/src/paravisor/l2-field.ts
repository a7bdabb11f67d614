/** Fields of an L2 VM's VMCS as user mode reads and writes them, one TDCALL ioctl each. */
import { TdcallLeaf, TdxStatus, newTdcallArgument } from '@paravisor/hcl-protocol';
import type { HclVp, ReadonlyU64 } from '@paravisor/hcl-protocol';
import { l2VmcsFieldHigh } from '../abi/index.js';

const statusText = (status: number): string => `0x${(status >>> 0).toString(16)}`;

/** TDG.VP.RD and TDG.VP.WR of one VP. A failing leaf is a defect of the backing or the module, never the guest's doing: it throws. */
export class TdvpsAccess {
  readonly #hcl: HclVp;
  readonly #argument = newTdcallArgument();
  /** Counts runs of a lower VTL: what the guest can change has to be read anew after each. */
  generation = 0;

  constructor(hcl: HclVp) {
    this.#hcl = hcl;
  }

  /** The value is in the result until the next call. */
  read(idLo: number, idHi: number): ReadonlyU64 {
    const argument = this.#argument;
    argument.rax.setParts(TdcallLeaf.VpRd, 0);
    argument.rdx.setParts(idLo, idHi);
    this.#call('TDG.VP.RD', idLo, idHi);
    return argument.r8;
  }

  /** A write that may fail at start-up: the completion status. */
  tryWrite(idLo: number, idHi: number, lo: number): number {
    const argument = this.#argument;
    argument.rax.setParts(TdcallLeaf.VpWr, 0);
    argument.rcx.setParts(0, 0);
    argument.rdx.setParts(idLo, idHi);
    argument.r8.setParts(lo, 0);
    argument.r9.setParts(-1, -1);
    const errno = this.#hcl.tdcall(argument);
    if (errno !== 0) throw new Error(`the TDCALL ioctl for TDG.VP.WR failed with errno ${errno}`);
    return argument.rax.hi;
  }

  write(idLo: number, idHi: number, lo: number, hi: number, maskLo = -1, maskHi = -1): void {
    const argument = this.#argument;
    argument.rax.setParts(TdcallLeaf.VpWr, 0);
    argument.rdx.setParts(idLo, idHi);
    argument.r8.setParts(lo, hi);
    argument.r9.setParts(maskLo, maskHi);
    this.#call('TDG.VP.WR', idLo, idHi);
  }

  #call(leaf: string, idLo: number, idHi: number): void {
    const argument = this.#argument;
    argument.rcx.setParts(0, 0);
    const errno = this.#hcl.tdcall(argument);
    if (errno !== 0) throw new Error(`the TDCALL ioctl for ${leaf} failed with errno ${errno}`);
    if (argument.rax.hi !== TdxStatus.Success) {
      throw new Error(`${leaf} of field ${statusText(idHi)}:${statusText(idLo)} failed with status ${statusText(argument.rax.hi)}`);
    }
  }
}

/** What `L2Field.save` gives. */
export type L2FieldState = readonly [lo: number, hi: number, generation: number];

/**
 * One field, with what is known of its value. A field only the paravisor writes is read at most once; one the guest or an exit can change is read again
 * after each run, and only if somebody asks.
 */
export class L2Field implements ReadonlyU64 {
  lo = 0;
  hi = 0;
  readonly #access: TdvpsAccess;
  readonly #idLo: number;
  readonly #idHi: number;
  readonly #guestWritable: boolean;
  #generation = -1;

  constructor(access: TdvpsAccess, vm: number, encoding: number, guestWritable: boolean) {
    this.#access = access;
    this.#idLo = encoding;
    this.#idHi = l2VmcsFieldHigh(vm, encoding);
    this.#guestWritable = guestWritable;
  }

  /** Brings the value up to date and returns this field as a cell; it stays so until the next run. */
  read(): this {
    if (this.#generation < 0 || (this.#guestWritable && this.#generation !== this.#access.generation)) {
      const { lo, hi } = this.#access.read(this.#idLo, this.#idHi);
      this.#keep(lo, hi);
    }
    return this;
  }

  write(value: ReadonlyU64): void {
    this.writeParts(value.lo, value.hi);
  }

  writeParts(lo: number, hi: number): void {
    this.#access.write(this.#idLo, this.#idHi, lo, hi);
    this.#keep(lo | 0, hi | 0);
  }

  /** Clears bits of the low half, whatever the rest holds. */
  clearBits(bits: number): void {
    this.#access.write(this.#idLo, this.#idHi, 0, 0, bits, 0);
    this.#generation = -1;
  }

  /** Writes unless the field is known to have the value. For fields only the paravisor writes. */
  change(lo: number): void {
    if (this.read().lo !== lo) this.writeParts(lo, 0);
  }

  /** What is known of the value, so that asking costs after a restore what it would have cost. */
  save(): L2FieldState {
    return [this.lo, this.hi, this.#generation];
  }

  restore([lo, hi, generation]: L2FieldState): void {
    this.lo = lo;
    this.hi = hi;
    this.#generation = generation;
  }

  #keep(lo: number, hi: number): void {
    this.lo = lo;
    this.hi = hi;
    this.#generation = this.#access.generation;
  }
}
