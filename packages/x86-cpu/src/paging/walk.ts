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

/** The control-register state a walk depends on; CR0.PG, CR4.PAE and EFER.LMA are taken as set. */
export interface PagingState {
  /** CR3, as two int32 halves; bits 51:12 count. */
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
  /** Ok: 12, 21 or 30, log2 of the page's size in bytes. */
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

const PRESENT = 1 << 0;
const WRITABLE = 1 << 1;
const USER = 1 << 2;
const ACCESSED = 1 << 5;
const DIRTY = 1 << 6;
const PAGE_SIZE = 1 << 7;
const GLOBAL = 1 << 8;
/** In the high half: bit 63. */
const NO_EXECUTE = 1 << 31;
const TWO_32 = 0x1_0000_0000;

/** Low-half bits of a large page's entry that must be zero, between its PAT bit and its address. */
const LARGE_RESERVED_2M = 0x001f_e000;
const LARGE_RESERVED_1G = 0x3fff_e000;

/** The entries of the walk in hand, top down. Scratch: a walk does not outlive its call. */
const entryGpa = new Float64Array(4);
const entryLo = new Int32Array(4);
const entryHi = new Int32Array(4);
const fetched: Qword = { lo: 0, hi: 0 };

function tableIndex(level: number, linearLo: number, linearHi: number): number {
  switch (level) {
    case 0:
      return (linearHi >>> 7) & 0x1ff;
    case 1:
      return ((linearHi & 0x7f) << 2) | (linearLo >>> 30);
    case 2:
      return (linearLo >>> 21) & 0x1ff;
    default:
      return (linearLo >>> 12) & 0x1ff;
  }
}

function pageFault(paging: PagingState, access: number, cause: number, result: WalkResult): void {
  result.status = WalkStatus.PageFault;
  const fetch = paging.noExecuteEnable || paging.smep ? access & PageAccess.Fetch : 0;
  result.errorCode = cause | (access & (PageAccess.Write | PageAccess.User)) | fetch;
}

/** SDM vol. 3, 4.6.1: may the access be made with the rights that all levels grant together? */
function isPermitted(paging: PagingState, access: number, writable: boolean, user: boolean, executable: boolean): boolean {
  if (access & PageAccess.Fetch && !executable) return false;
  if (access & PageAccess.User) return user && (writable || !(access & PageAccess.Write));
  if (user) {
    if (access & PageAccess.Fetch) return !paging.smep;
    if (paging.smap && (access & PageAccess.Implicit || !paging.alignmentCheck)) return false;
  }
  return writable || !(access & PageAccess.Write) || !paging.writeProtect;
}

/** Sets the bits the access leaves in the entries; false when an entry has changed meanwhile and the walk must start again. */
function markUsed(memory: PhysicalAccess, leaf: number, access: number, result: WalkResult): boolean {
  for (let level = 0; level <= leaf; level++) {
    const lo = entryLo[level]!;
    const marked = lo | ACCESSED | (level === leaf && access & PageAccess.Write ? DIRTY : 0);
    if (marked === lo) continue;
    const hi = entryHi[level]!;
    const status = memory.compareExchangeQword(entryGpa[level]!, lo, hi, marked, hi);
    if (status === ExchangeStatus.Changed) return false;
    if (status === ExchangeStatus.Failed) {
      result.status = WalkStatus.NestedFault;
      result.failedGpa = entryGpa[level]!;
      result.failedWrite = true;
      return true;
    }
    entryLo[level] = marked;
  }
  return true;
}

/** One pass over the tables; false when it must be made again. */
function walkOnce(memory: PhysicalAccess, paging: PagingState, linearLo: number, linearHi: number, access: number, result: WalkResult): boolean {
  const reservedHi = (0xfffff & ~((1 << (paging.physicalAddressBits - 32)) - 1)) | (paging.noExecuteEnable ? 0 : NO_EXECUTE);
  let tableGpa = (paging.cr3Hi & 0xfffff) * TWO_32 + ((paging.cr3Lo & ~0xfff) >>> 0);
  let grants = WRITABLE | USER;
  let denials = 0;
  let level = 0;
  for (;;) {
    const gpa = tableGpa + tableIndex(level, linearLo, linearHi) * 8;
    if (!memory.readQword(gpa, fetched)) {
      result.status = WalkStatus.NestedFault;
      result.failedGpa = gpa;
      result.failedWrite = false;
      return true;
    }
    const { lo, hi } = fetched;
    entryGpa[level] = gpa;
    entryLo[level] = lo;
    entryHi[level] = hi;
    if (!(lo & PRESENT)) {
      pageFault(paging, access, 0, result);
      return true;
    }
    const large = (lo & PAGE_SIZE) !== 0 && level < 3;
    let reservedLo = 0;
    if (large) reservedLo = level === 0 ? PAGE_SIZE : level === 1 ? LARGE_RESERVED_1G : LARGE_RESERVED_2M;
    if (hi & reservedHi || lo & reservedLo) {
      pageFault(paging, access, PageFaultCode.Present | PageFaultCode.Reserved, result);
      return true;
    }
    grants &= lo;
    denials |= hi;
    if (level === 3 || large) break;
    tableGpa = (hi & 0xfffff) * TWO_32 + ((lo & ~0xfff) >>> 0);
    level++;
  }

  const writable = (grants & WRITABLE) !== 0;
  const user = (grants & USER) !== 0;
  const executable = !(denials & NO_EXECUTE);
  if (!isPermitted(paging, access, writable, user, executable)) {
    pageFault(paging, access, PageFaultCode.Present, result);
    return true;
  }
  result.status = WalkStatus.Ok;
  if (!markUsed(memory, level, access, result)) return false;

  const pageShift = 39 - 9 * level;
  const offsetMask = (1 << pageShift) - 1;
  result.gpa = (entryHi[level]! & 0xfffff) * TWO_32 + (((entryLo[level]! & ~offsetMask & ~0xfff) | (linearLo & offsetMask)) >>> 0);
  result.pageShift = pageShift;
  result.writable = writable;
  result.user = user;
  result.executable = executable;
  result.global = (entryLo[level]! & GLOBAL) !== 0;
  result.dirty = (entryLo[level]! & DIRTY) !== 0;
  return true;
}

/**
 * Translates a canonical linear address, given as two int32 halves, through 4-level tables (SDM vol. 3, 4.5), allocating nothing.
 *
 * `access` is made of {@link PageAccess} bits. Accessed and dirty bits are set by compare-exchange, top down, and only once the access is known to be permitted;
 * when an entry has changed in between, the walk starts again, as the hardware's does. Called by the processor when its TLB misses and by the paravisor
 * when it walks a guest's tables; 1 GiB pages exist always; PCIDs, protection keys and 5 levels do not.
 */
export function walk(memory: PhysicalAccess, paging: PagingState, linearLo: number, linearHi: number, access: number, result: WalkResult): void {
  while (!walkOnce(memory, paging, linearLo, linearHi, access, result));
}
