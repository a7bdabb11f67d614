import { PageAccess, PagingFormat, WalkStatus } from './paging-state.js';
import type { PagingState, PhysicalAccess, Qword, WalkResult } from './paging-state.js';

/** Bits of an entry, in its low half. */
export const PRESENT = 1 << 0;
export const WRITABLE = 1 << 1;
export const USER = 1 << 2;
export const ACCESSED = 1 << 5;
export const DIRTY = 1 << 6;
export const PAGE_SIZE = 1 << 7;
export const GLOBAL = 1 << 8;
/** In the high half: bit 63. */
export const NO_EXECUTE = 1 << 31;
export const TWO_32 = 0x1_0000_0000;

/** The entry read last. Scratch: a walk does not outlive its call. */
export const fetched: Qword = { lo: 0, hi: 0 };

/** Ends a walk in a page fault: `cause` is the P and RSVD bits. */
export function pageFault(paging: PagingState, access: number, cause: number, result: WalkResult): void {
  result.status = WalkStatus.PageFault;
  const tellsFetch = paging.smep || (paging.noExecuteEnable && paging.format !== PagingFormat.TwoLevel);
  const fetch = tellsFetch ? access & PageAccess.Fetch : 0;
  result.errorCode = cause | (access & (PageAccess.Write | PageAccess.User)) | fetch;
}

/** SDM vol. 3, 4.6.1: may the access be made with the rights that all levels grant together? */
export function isPermitted(paging: PagingState, access: number, writable: boolean, user: boolean, executable: boolean): boolean {
  if (access & PageAccess.Fetch && !executable) return false;
  if (access & PageAccess.User) return user && (writable || !(access & PageAccess.Write));
  if (user) {
    if (access & PageAccess.Fetch) return !paging.smep;
    if (paging.smap && (access & PageAccess.Implicit || !paging.alignmentCheck)) return false;
  }
  return writable || !(access & PageAccess.Write) || !paging.writeProtect;
}

/** Fills `fetched` from an entry; false with the result filled. */
export function fetchEntry(memory: PhysicalAccess, gpa: number, result: WalkResult): boolean {
  if (memory.readQword(gpa, fetched)) return true;
  result.status = WalkStatus.NestedFault;
  result.failedGpa = gpa;
  result.failedWrite = false;
  return false;
}
