/** Where a hypercall's values are in the caller's registers (TLFS "x64 Hypercall Inputs" and "x86 Hypercall Inputs"). */
import { U64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { GuestRegisters } from '../contract/index.js';

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, Rbx: 3, Rsi: 6, Rdi: 7, R8: 8 } as const;
const CR0_PE = 1;
const EFER_LMA = 1 << 10;
/** Register pairs of 16 bytes that carry fast input and output: RDX and R8, then XMM0 to XMM5. */
const FAST_PAIRS_64 = 7;
const FAST_PAIRS_32 = 1;

/** The registers of one call. `begin` first. */
export class HypercallRegisters {
  /** Whether long mode is active: the 64-bit convention. */
  is64Bit = true;
  #registers: GuestRegisters | null = null;
  readonly #value = new U64();
  readonly #high = new U64();

  begin(registers: GuestRegisters): void {
    this.#registers = registers;
    registers.readEfer(this.#value);
    const longMode = (this.#value.lo & EFER_LMA) !== 0;
    registers.readCr(0, this.#value);
    this.is64Bit = longMode && (this.#value.lo & CR0_PE) !== 0;
  }

  readControl(out: U64): void {
    if (this.is64Bit) this.#registers!.readGpr(Gpr.Rcx, out);
    else this.#readPair(Gpr.Rdx, Gpr.Rax, out);
  }

  writeControl(value: ReadonlyU64): void {
    if (this.is64Bit) this.#registers!.writeGpr(Gpr.Rcx, value);
    else this.#writePair(Gpr.Rdx, Gpr.Rax, value);
  }

  writeResult(value: ReadonlyU64): void {
    if (this.is64Bit) this.#registers!.writeGpr(Gpr.Rax, value);
    else this.#writePair(Gpr.Rdx, Gpr.Rax, value);
  }

  /** Guest physical address of the input, exact below 2^53. */
  inputGpa(): number {
    if (this.is64Bit) this.#registers!.readGpr(Gpr.Rdx, this.#value);
    else this.#readPair(Gpr.Rbx, Gpr.Rcx, this.#value);
    return this.#value.toNumber();
  }

  outputGpa(): number {
    if (this.is64Bit) this.#registers!.readGpr(Gpr.R8, this.#value);
    else this.#readPair(Gpr.Rdi, Gpr.Rsi, this.#value);
    return this.#value.toNumber();
  }

  /** What a VTL call or return is told besides its control. */
  readVtlInput(out: U64): void {
    this.#registers!.readGpr(this.is64Bit ? Gpr.Rax : Gpr.Rcx, out);
    if (!this.is64Bit) out.hi = 0;
  }

  get fastPairs(): number {
    return this.is64Bit ? FAST_PAIRS_64 : FAST_PAIRS_32;
  }

  /** Output in registers needs the 64-bit convention. */
  get allowsFastOutput(): boolean {
    return this.is64Bit;
  }

  /** Copies register pairs from `first` on into 16-byte pieces of `to` at `offset`. */
  readFast(first: number, count: number, to: DataView, offset: number): void {
    for (let pair = 0; pair < count; pair++) {
      this.#readFastPair(first + pair);
      storeU64(to, offset + 16 * pair, this.#value);
      storeU64(to, offset + 16 * pair + 8, this.#high);
    }
  }

  /** Copies 16-byte pieces of `from` at `offset` into register pairs from `first` on. */
  writeFast(first: number, count: number, from: DataView, offset: number): void {
    for (let pair = 0; pair < count; pair++) {
      loadU64(from, offset + 16 * pair, this.#value);
      loadU64(from, offset + 16 * pair + 8, this.#high);
      if (first + pair === 0) {
        this.#registers!.writeGpr(Gpr.Rdx, this.#value);
        this.#registers!.writeGpr(Gpr.R8, this.#high);
      } else {
        this.#registers!.writeXmm(first + pair - 1, this.#value, this.#high);
      }
    }
  }

  #readFastPair(pair: number): void {
    if (!this.is64Bit) {
      this.#readPair(Gpr.Rdi, Gpr.Rsi, this.#high);
      this.#readPair(Gpr.Rbx, Gpr.Rcx, this.#value);
    } else if (pair === 0) {
      this.#registers!.readGpr(Gpr.Rdx, this.#value);
      this.#registers!.readGpr(Gpr.R8, this.#high);
    } else {
      this.#registers!.readXmm(pair - 1, this.#value, this.#high);
    }
  }

  /** `out` = high:low, 32 bits of each. */
  #readPair(high: number, low: number, out: U64): void {
    this.#registers!.readGpr(high, out);
    const { lo } = out;
    this.#registers!.readGpr(low, out);
    out.hi = lo;
  }

  #writePair(high: number, low: number, { lo, hi }: ReadonlyU64): void {
    this.#registers!.writeGpr(high, this.#value.setParts(hi, 0));
    this.#registers!.writeGpr(low, this.#value.setParts(lo, 0));
  }
}

function storeU64(to: DataView, offset: number, { lo, hi }: ReadonlyU64): void {
  to.setInt32(offset, lo, true);
  to.setInt32(offset + 4, hi, true);
}

function loadU64(from: DataView, offset: number, out: U64): void {
  out.setParts(from.getInt32(offset, true), from.getInt32(offset + 4, true));
}
