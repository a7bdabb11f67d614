/** Two int32 halves of a 64-bit value, filled by {@link PhysicalAccess.readQword}. */
export interface Qword {
  lo: number;
  hi: number;
}

/** What became of a compare-exchange on a page-table entry. */
export const ExchangeStatus = {
  /** The entry held the expected value and now holds the new one. */
  Exchanged: 0,
  /** The entry held something else; nothing was written. */
  Changed: 1,
  /** The memory cannot be read or written here (a nested fault). */
  Failed: 2,
} as const;

/** One value of {@link ExchangeStatus}. */
export type ExchangeStatus = (typeof ExchangeStatus)[keyof typeof ExchangeStatus];

/** Guest physical memory as the page walker sees it. Called only from within `walk`, with 8-byte aligned addresses; must not walk in turn. */
export interface PhysicalAccess {
  /** Reads 8 bytes at `gpa` into `out`; false if the read fails (nested fault, no such memory). */
  readQword(gpa: number, out: Qword): boolean;
  /** Replaces 8 bytes at `gpa` by (newLo, newHi) if they are (oldLo, oldHi), at once as other processors see it. */
  compareExchangeQword(gpa: number, oldLo: number, oldHi: number, newLo: number, newHi: number): ExchangeStatus;
}

/** The formats of page tables (SDM vol. 3, 4.1.1). */
export const PagingFormat = {
  /** Two levels of 4-byte entries: CR4.PAE clear. */
  TwoLevel: 2,
  /** Three levels of 8-byte entries, the first held in registers: CR4.PAE without EFER.LMA. */
  Pae: 3,
  /** Four levels: EFER.LMA. */
  FourLevel: 4,
} as const;

/** One value of {@link PagingFormat}. */
export type PagingFormat = (typeof PagingFormat)[keyof typeof PagingFormat];

/** The control-register state a walk depends on; CR0.PG is taken as set. */
export interface PagingState {
  format: PagingFormat;
  /** Pae: the four page-directory-pointer-table entries, as pairs of int32 halves (see `readPdptes`). */
  readonly pdptes: Int32Array;
  /** CR4.PSE, which counts in TwoLevel. */
  pageSizeExtensions: boolean;
  /** CR3, as two int32 halves; bits 51:12 count, in TwoLevel bits 31:12. */
  cr3Lo: number;
  cr3Hi: number;
  /** CR0.WP. */
  writeProtect: boolean;
  /** EFER.NXE. */
  noExecuteEnable: boolean;
  /** CR4.SMEP. */
  smep: boolean;
  /** CR4.SMAP. */
  smap: boolean;
  /** RFLAGS.AC. */
  alignmentCheck: boolean;
  /** MAXPHYADDR, 32..52: entry bits from here to 51 are reserved. */
  physicalAddressBits: number;
}

/**
 * What kind of access is translated, to be or-ed. Write, User and Fetch have the places of the page-fault error code's W/R, U/S and I/D bits.
 * None of them: a supervisor data read.
 */
export const PageAccess = {
  Read: 0,
  Write: 1 << 1,
  /** CPL 3, except for implicit supervisor accesses (descriptor tables, TSS). */
  User: 1 << 2,
  Fetch: 1 << 4,
  /** An implicit supervisor access: RFLAGS.AC does not lift SMAP (SDM vol. 3, 4.6.1). */
  Implicit: 1 << 8,
} as const;

/** Page-fault error code bits (SDM vol. 3, 4.7). */
export const PageFaultCode = {
  Present: 1 << 0,
  Write: 1 << 1,
  User: 1 << 2,
  Reserved: 1 << 3,
  Fetch: 1 << 4,
} as const;

/** How a walk ended. */
export const WalkStatus = {
  /** Translated; A and D bits are set. */
  Ok: 0,
  /** #PF with {@link WalkResult.errorCode}. The refused access set no accessed or dirty bit. */
  PageFault: 1,
  /** Reading or updating the entry at {@link WalkResult.failedGpa} failed. */
  NestedFault: 2,
} as const;

/** One value of {@link WalkStatus}. */
export type WalkStatus = (typeof WalkStatus)[keyof typeof WalkStatus];

/** The outcome of a walk. One object is filled again and again. */
export interface WalkResult {
  status: WalkStatus;
  /** Ok: the guest physical address of the byte asked for. */
  gpa: number;
  /** Ok: 12, 21, 22 or 30, log2 of the page's size in bytes. */
  pageShift: number;
  /** Ok: R/W of every level. */
  writable: boolean;
  /** Ok: U/S of every level. */
  user: boolean;
  /** Ok: no level says NX (always true without EFER.NXE). */
  executable: boolean;
  /** Ok: the leaf's G bit. */
  global: boolean;
  /** Ok: the leaf's D bit, as it now is: a write to a page that is not dirty must walk again. */
  dirty: boolean;
  /** PageFault: the #PF error code. */
  errorCode: number;
  /** NestedFault: the address of the entry that could not be read or updated. */
  failedGpa: number;
  /** NestedFault: the failing access was the update of an accessed or dirty bit, not the read. */
  failedWrite: boolean;
}

/** A blank result for `walk` to fill. */
export function createWalkResult(): WalkResult {
  return {
    status: WalkStatus.Ok,
    gpa: 0,
    pageShift: 12,
    writable: false,
    user: false,
    executable: false,
    global: false,
    dirty: false,
    errorCode: 0,
    failedGpa: 0,
    failedWrite: false,
  };
}
