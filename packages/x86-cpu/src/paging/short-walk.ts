import { ACCESSED, DIRTY, fetchEntry, fetched, GLOBAL, isPermitted, PAGE_SIZE, pageFault, PRESENT, TWO_32, USER, WRITABLE } from './entry.js';
import { ExchangeStatus, PageAccess, PageFaultCode, WalkStatus } from './paging-state.js';
import type { PagingState, PhysicalAccess, WalkResult } from './paging-state.js';

/** Low-half bits of a 4 MiB page's entry: those of its address above 4 GiB (PSE-36), and the one that must be zero. */
const PSE36_SHIFT = 13;
const PSE36_RESERVED = 1 << 21;

/** Reads a 4-byte entry; undefined with the result filled. */
function fetchShortEntry(memory: PhysicalAccess, gpa: number, result: WalkResult): number | undefined {
  if (!fetchEntry(memory, gpa - (gpa % 8), result)) {
    result.failedGpa = gpa;
    return undefined;
  }
  return gpa % 8 === 0 ? fetched.lo : fetched.hi;
}

/** Sets bits in a 4-byte entry: with its neighbour, in one exchange. False when one of the two has changed meanwhile. */
function markShortEntry(memory: PhysicalAccess, gpa: number, entry: number, marked: number, result: WalkResult): boolean {
  if (marked === entry) return true;
  const at = gpa - (gpa % 8);
  if (!fetchEntry(memory, at, result)) return true;
  const { lo, hi } = fetched;
  const isLow = at === gpa;
  if ((isLow ? lo : hi) !== entry) return false;
  const status = memory.compareExchangeQword(at, lo, hi, isLow ? marked : lo, isLow ? hi : marked);
  if (status === ExchangeStatus.Failed) {
    result.status = WalkStatus.NestedFault;
    result.failedGpa = gpa;
    result.failedWrite = true;
  }
  return status !== ExchangeStatus.Changed;
}

/** One pass over tables with entries of 4 bytes (SDM vol. 3, 4.3); false when it must be made again. */
export function walkShortOnce(memory: PhysicalAccess, paging: PagingState, linear: number, access: number, result: WalkResult): boolean {
  const directoryGpa = ((paging.cr3Lo & ~0xfff) >>> 0) + 4 * (linear >>> 22);
  const directory = fetchShortEntry(memory, directoryGpa, result);
  if (directory === undefined) return true;
  if (!(directory & PRESENT)) {
    pageFault(paging, access, 0, result);
    return true;
  }
  const large = paging.pageSizeExtensions && (directory & PAGE_SIZE) !== 0;
  if (large && directory & PSE36_RESERVED) {
    pageFault(paging, access, PageFaultCode.Present | PageFaultCode.Reserved, result);
    return true;
  }
  let leaf = directory;
  let leafGpa = directoryGpa;
  if (!large) {
    leafGpa = ((directory & ~0xfff) >>> 0) + 4 * ((linear >>> 12) & 0x3ff);
    const table = fetchShortEntry(memory, leafGpa, result);
    if (table === undefined) return true;
    if (!(table & PRESENT)) {
      pageFault(paging, access, 0, result);
      return true;
    }
    leaf = table;
  }
  const writable = (directory & leaf & WRITABLE) !== 0;
  const user = (directory & leaf & USER) !== 0;
  if (!isPermitted(paging, access, writable, user, true)) {
    pageFault(paging, access, PageFaultCode.Present, result);
    return true;
  }
  result.status = WalkStatus.Ok;
  if (!large && !markShortEntry(memory, directoryGpa, directory, directory | ACCESSED, result)) return false;
  const marked = leaf | ACCESSED | (access & PageAccess.Write ? DIRTY : 0);
  if (result.status === WalkStatus.Ok && !markShortEntry(memory, leafGpa, leaf, marked, result)) return false;
  if (large) result.gpa = ((leaf >>> PSE36_SHIFT) & 0xff) * TWO_32 + (((leaf & 0xffc00000) | (linear & 0x3fffff)) >>> 0);
  else result.gpa = ((leaf & ~0xfff) | (linear & 0xfff)) >>> 0;
  result.pageShift = large ? 22 : 12;
  result.writable = writable;
  result.user = user;
  result.executable = true;
  result.global = (leaf & GLOBAL) !== 0;
  result.dirty = (marked & DIRTY) !== 0;
  return true;
}
