import type { ReadonlyU64, U64 } from '@paravisor/hcl-protocol';

/** A segment register in VMX access-rights order: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, DB 14, G 15, unusable 16. */
export interface SegmentRegister {
  selector: number;
  attributes: number;
  limit: number;
  readonly base: U64;
}

/** GDTR or IDTR. */
export interface TableRegister {
  limit: number;
  readonly base: U64;
}

/** The two descriptor-table registers, as `GuestRegisters` numbers them. */
export const Table = { Gdtr: 0, Idtr: 1 } as const;
export type Table = (typeof Table)[keyof typeof Table];

/** Segment order of every interface here: ES CS SS DS FS GS, then LDTR and TR. */
export const Segment = { Es: 0, Cs: 1, Ss: 2, Ds: 3, Fs: 4, Gs: 5, Ldtr: 6, Tr: 7 } as const;

/** What a VP's lower VTL starts with: the loader's registers. GPRs are RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
export interface InitialRegisters {
  readonly gpr: readonly bigint[];
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly pat: bigint;
  readonly gdtr: { readonly base: bigint; readonly limit: number };
  readonly idtr: { readonly base: bigint; readonly limit: number };
  /** In the order of `Segment`. */
  readonly segments: readonly { readonly selector: number; readonly attributes: number; readonly limit: number; readonly base: bigint }[];
}

/**
 * The registers of one lower VTL of one VP, through whatever the backing has: the run page and TDG.VP.RD under TDX, the VMSA under SNP. Valid
 * between a run and the next. Writes reach the guest at its next entry.
 */
export interface GuestRegisters {
  /** `index` as in `InitialRegisters.gpr`. */
  readGpr(index: number, out: U64): void;
  writeGpr(index: number, value: ReadonlyU64): void;
  readRip(out: U64): void;
  writeRip(value: ReadonlyU64): void;
  /** RFLAGS bits 31:0. */
  readRflags(): number;
  writeRflags(value: number): void;
  /** CR0, CR2, CR3, CR4, as the guest reads them. */
  readCr(number: 0 | 2 | 3 | 4, out: U64): void;
  /** Nothing is checked: a higher VTL or the paravisor writes, not the guest whose register it is. */
  writeCr(number: 0 | 2 | 3 | 4, value: ReadonlyU64): void;
  readEfer(out: U64): void;
  writeEfer(value: ReadonlyU64): void;
  readSegment(index: number, out: SegmentRegister): void;
  writeSegment(index: number, value: SegmentRegister): void;
  readTable(table: Table, out: TableRegister): void;
  writeTable(table: Table, value: TableRegister): void;
  /**
   * MSRs each VTL has for itself and reaches without an exit: SYSENTER_CS, _ESP, _EIP (0x174 .. 0x176), PAT (0x277), STAR, LSTAR, CSTAR, SFMASK
   * (0xc0000081 .. 84), KERNEL_GS_BASE (0xc0000102) and TSC_AUX (0xc0000103). False, and nothing done, for one the backing does not keep.
   */
  readMsr(msr: number, out: U64): boolean;
  writeMsr(msr: number, value: ReadonlyU64): boolean;
  /** XMM0 .. XMM15, bits 63:0 and 127:64. */
  readXmm(index: number, low: U64, high: U64): void;
  writeXmm(index: number, low: ReadonlyU64, high: ReadonlyU64): void;
  cpl(): number;
}
