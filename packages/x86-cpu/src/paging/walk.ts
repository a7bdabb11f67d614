import { ACCESSED, DIRTY, fetchEntry, fetched, GLOBAL, isPermitted, NO_EXECUTE, PAGE_SIZE, pageFault, PRESENT, TWO_32, USER, WRITABLE } from './entry.js';
import { ExchangeStatus, PageAccess, PageFaultCode, PagingFormat, WalkStatus } from './paging-state.js';
import type { PagingState, PhysicalAccess, WalkResult } from './paging-state.js';
import { walkShortOnce } from './short-walk.js';

/** Low-half bits of a large page's entry that must be zero, between its PAT bit and its address. */
const LARGE_RESERVED_2M = 0x001f_e000;
const LARGE_RESERVED_1G = 0x3fff_e000;

/** The entries of the walk in hand, top down. Scratch: a walk does not outlive its call. */
const entryGpa = new Float64Array(4);
const entryLo = new Int32Array(4);
const entryHi = new Int32Array(4);

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

/** Sets the bits the access leaves in the entries; false when an entry has changed meanwhile and the walk must start again. */
function markUsed(memory: PhysicalAccess, root: number, leaf: number, access: number, result: WalkResult): boolean {
  for (let level = root; level <= leaf; level++) {
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

/** High-half bits of an entry of 8 bytes that must be zero: above MAXPHYADDR, NX without EFER.NXE, and in PAE tables all above the address. */
function reservedHigh(paging: PagingState): number {
  const ignored = paging.format === PagingFormat.Pae ? 0x7fffffff : 0xfffff;
  return (ignored & ~((1 << (paging.physicalAddressBits - 32)) - 1)) | (paging.noExecuteEnable ? 0 : NO_EXECUTE);
}

/** One pass over tables with entries of 8 bytes; false when it must be made again. */
function walkOnce(memory: PhysicalAccess, paging: PagingState, linearLo: number, linearHi: number, access: number, result: WalkResult): boolean {
  const reservedHi = reservedHigh(paging);
  let tableLo = paging.cr3Lo;
  let tableHi = paging.cr3Hi;
  let root = 0;
  if (paging.format === PagingFormat.Pae) {
    // The first level is in registers, has no rights, and was checked when it was loaded.
    const entry = 2 * (linearLo >>> 30);
    tableLo = paging.pdptes[entry]!;
    tableHi = paging.pdptes[entry + 1]!;
    if (!(tableLo & PRESENT)) {
      pageFault(paging, access, 0, result);
      return true;
    }
    root = 2;
  }
  let tableGpa = (tableHi & 0xfffff) * TWO_32 + ((tableLo & ~0xfff) >>> 0);
  let grants = WRITABLE | USER;
  let denials = 0;
  let level = root;
  for (;;) {
    const gpa = tableGpa + tableIndex(level, linearLo, linearHi) * 8;
    if (!fetchEntry(memory, gpa, result)) return true;
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
  if (!markUsed(memory, root, level, access, result)) return false;

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
 * Translates a linear address, given as two int32 halves, through tables of the state's format (SDM vol. 3, 4.3 to 4.5), allocating nothing. It must be
 * canonical with four levels, and below 4 GiB otherwise.
 *
 * `access` is made of {@link PageAccess} bits. Accessed and dirty bits are set by compare-exchange, top down, and only once the access is known to be permitted;
 * when an entry has changed in between, the walk starts again, as the hardware's does. Called by the processor when its TLB misses and by the paravisor
 * when it walks a guest's tables; 1 GiB pages exist always; protection keys and 5 levels do not.
 */
export function walk(memory: PhysicalAccess, paging: PagingState, linearLo: number, linearHi: number, access: number, result: WalkResult): void {
  if (paging.format === PagingFormat.TwoLevel) while (!walkShortOnce(memory, paging, linearLo, access, result));
  else while (!walkOnce(memory, paging, linearLo, linearHi, access, result));
}
