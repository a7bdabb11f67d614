import type { Linear } from '../code/block.js';
import { Access } from '../contract.js';
import {
  ContextOffset, StateOffset, TLB_BANKS, TLB_BANK_SIZE, TLB_ENTRIES, TLB_ENTRY_SIZE, TlbBank, TLB_WRITE,
} from '../memory/layout.js';
import { PAGE_BYTES, PAGE_SHIFT } from '../memory/space.js';
import type { MemorySpace } from '../memory/space.js';
import { Flag } from '../microop/flags.js';
import { createWalkResult, ExchangeStatus, PageAccess, PagingFormat, PdpteStatus, readPdptes, walk, WalkStatus } from '../paging/index.js';
import type { PagingState, PhysicalAccess, Qword } from '../paging/index.js';
import { DebugUnit } from './debug.js';
import { GUEST_FAULT, NESTED, RETRY, Vector } from './fault.js';
import type { Fault } from './fault.js';
import { Cr0, Cr4, Efer, isCanonical, joinHalves, lowHalf, highHalf } from './registers.js';
import type { Registers } from './registers.js';

/** MAXPHYADDR: above it, entry bits are reserved. */
export const PHYSICAL_ADDRESS_BITS = 46;

const PROBE_WRITE = 0x100;
/** Guest physical page of an empty TLB entry. */
const EMPTY = -1;
/**
 * In the low half of a linear page in the write half: decoded code lies in the page, so that the interpreter, which compares the whole word, must not find it.
 * It counts as cached all the same, because what has been decoded may not show.
 */
const WATCHED = 1;
/** Numbers of a saved translation. */
const SAVED_ENTRY = 5;
const PERMISSION_READ = 1;
const PERMISSION_WRITE = 2;
const PERMISSION_EXECUTE = 4;

/** What the current mode adds to `PageAccess` of an explicit access. */
const MODE_USER = PageAccess.User;

/**
 * Linear addresses to bytes: the page walk when a TLB bank misses, filling the TLBs that the interpreter reads, and the
 * accesses of system instructions and event delivery.
 */
export class Mmu implements PhysicalAccess {
  readonly #space: MemorySpace;
  readonly #registers: Registers;
  readonly #table: number;
  readonly #tlbStart: number;
  readonly #i32: Int32Array;
  readonly #bounce: number;
  readonly #bankUsed = [false, false, false];
  /** A large page has been cached, in pieces of 4 KiB, since the last flush. */
  #largeCached = false;
  readonly #walked = createWalkResult();
  readonly #paging: PagingState;
  #paged = false;
  /** Not in IA-32e mode. */
  #wraps = false;
  #mode = 0;
  #bankNumber: number = TlbBank.supervisor;
  /** Start of the TLB bank of the current mode. */
  bank: number;
  readonly debug: DebugUnit;
  /** Ring 3 under CR0.AM and RFLAGS.AC: accesses must be aligned to their size (SDM volume 3, 6.15, interrupt 17). */
  #aligned = false;
  readonly fault: Fault = { vector: 0, errorCode: -1, nonCanonical: false, linear: 0, gpa: 0, access: 0 };
  /** Stores go through even where code has been decoded; address and size of each are noted. */
  #forced = false;
  readonly #forcedStores: number[] = [];
  /** The access comes from the midst of a block. */
  #inBlock = false;
  /** The walk would mark an entry among decoded code, perhaps that of the very block. */
  #marksCode = false;
  /** The guest physical pages of the two halves of a crossing access. */
  #firstGpa = 0;
  #secondGpa = 0;

  constructor(space: MemorySpace, registers: Registers, table: number) {
    this.#space = space;
    this.#registers = registers;
    this.#table = table;
    this.debug = new DebugUnit(registers);
    this.#i32 = space.i32;
    this.#tlbStart = registers.start + ContextOffset.tlb;
    this.#bounce = registers.start + StateOffset.bounce;
    this.bank = this.#tlbStart;
    this.#paging = {
      format: PagingFormat.FourLevel, pdptes: registers.i32.subarray(StateOffset.pdptes >> 2, (StateOffset.pdptes >> 2) + 8), pageSizeExtensions: false,
      cr3Lo: 0, cr3Hi: 0, writeProtect: false, noExecuteEnable: false, smep: false, smap: false, alignmentCheck: false,
      physicalAddressBits: PHYSICAL_ADDRESS_BITS,
    };
    this.#i32.fill(-1, this.#tlbStart >> 2, (this.#tlbStart + TLB_BANKS * TLB_BANK_SIZE) >> 2);
  }

  /** Empties every bank. */
  flush(): void {
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      if (!this.#bankUsed[bank]) continue;
      const start = this.#tlbStart + bank * TLB_BANK_SIZE;
      this.#i32.fill(-1, start >> 2, (start + TLB_BANK_SIZE) >> 2);
      this.#bankUsed[bank] = false;
    }
    this.#largeCached = false;
  }

  /** The cached translations: bank and half, slot, linear page (low half, high half) and guest physical page of each, one after the other. */
  save(): readonly number[] {
    const saved: number[] = [];
    for (let half = 0; half < 2 * TLB_BANKS; half++) {
      const start = (this.#tlbStart + half * TLB_WRITE) >> 2;
      for (let slot = 0; slot < TLB_ENTRIES; slot++) {
        const word = start + slot * (TLB_ENTRY_SIZE >> 2);
        if (this.#i32[word + 3] !== EMPTY) saved.push(half, slot, this.#i32[word]!, this.#i32[word + 1]!, this.#i32[word + 3]!);
      }
    }
    // Whether flushing one page means flushing all.
    saved.push(this.#largeCached ? 1 : 0);
    return saved;
  }

  /** Into a flushed MMU. @throws {RangeError} for a page outside RAM. */
  restore(saved: readonly number[]): void {
    const { ramStart, ramPages } = this.#space;
    for (let at = 0; at + SAVED_ENTRY <= saved.length; at += SAVED_ENTRY) {
      const [half, slot, lo, hi, page] = saved.slice(at, at + SAVED_ENTRY) as [number, number, number, number, number];
      if (!(half >= 0 && half < 2 * TLB_BANKS && slot >= 0 && slot < TLB_ENTRIES && page >= 0 && page < ramPages)) throw new RangeError('a translation leads out of RAM');
      this.#i32.set([lo, hi, ramStart + page * PAGE_BYTES - (lo & ~WATCHED), page], (this.#tlbStart + half * TLB_WRITE + slot * TLB_ENTRY_SIZE) >> 2);
      this.#bankUsed[half >> 1] = true;
    }
    this.#largeCached = saved.at(-1) === 1;
  }

  /** Forgets the page of one linear address; everything when it may be a large one, whose pieces may be anywhere. */
  flushPage(linear: Linear): void {
    if (this.#largeCached) {
      this.flush();
      return;
    }
    const slot = (lowHalf(linear) >>> 8) & ((TLB_ENTRIES - 1) << 4);
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      for (const half of [0, TLB_WRITE]) {
        const word = (this.#tlbStart + bank * TLB_BANK_SIZE + half + slot) >> 2;
        this.#i32[word] = -1;
        this.#i32[word + 1] = -1;
      }
    }
  }

  /** Takes over the control registers and privilege level; says whether translations may differ for it. */
  modeChanged(): void {
    const registers = this.#registers;
    const paging = this.#paging;
    const cr0 = registers.lo(StateOffset.cr0);
    const cr4 = registers.lo(StateOffset.cr4);
    const efer = registers.lo(StateOffset.efer);
    paging.cr3Lo = registers.lo(StateOffset.cr3);
    paging.cr3Hi = registers.hi(StateOffset.cr3);
    paging.format = efer & Efer.lma ? PagingFormat.FourLevel : cr4 & Cr4.pae ? PagingFormat.Pae : PagingFormat.TwoLevel;
    paging.pageSizeExtensions = (cr4 & Cr4.pse) !== 0;
    paging.writeProtect = (cr0 & Cr0.wp) !== 0;
    paging.noExecuteEnable = (efer & Efer.nxe) !== 0;
    paging.smep = (cr4 & Cr4.smep) !== 0;
    paging.smap = (cr4 & Cr4.smap) !== 0;
    paging.alignmentCheck = (registers.systemFlags & Flag.ac) !== 0;
    this.#paged = (cr0 & Cr0.pg) !== 0;
    this.#wraps = !(efer & Efer.lma);
    this.setPrivilege(registers.cpl);
  }

  /** Reads the entries that PAE paging holds in registers, for a value of CR3; throws GUEST_FAULT with the old ones kept. */
  loadPdptes(cr3Lo: number): void {
    const status = readPdptes(this, cr3Lo, PHYSICAL_ADDRESS_BITS, this.#paging.pdptes);
    if (status === PdpteStatus.Ok) return;
    if (status === PdpteStatus.Failed) this.#failNested(0, (cr3Lo & ~0x1f) >>> 0, Access.Read | Access.PageWalk);
    else {
      this.#fail(Vector.gp, 0, 0);
      this.fault.nonCanonical = false;
    }
    throw GUEST_FAULT;
  }

  /** Chooses the bank of a privilege level and, in supervisor mode under SMAP, of RFLAGS.AC. */
  setPrivilege(cpl: number): void {
    this.#mode = cpl === 3 ? MODE_USER : 0;
    this.#paging.alignmentCheck = (this.#registers.systemFlags & Flag.ac) !== 0;
    if (cpl === 3) this.#bankNumber = TlbBank.user;
    else this.#bankNumber = this.#paging.smap && this.#paging.alignmentCheck ? TlbBank.supervisorOverride : TlbBank.supervisor;
    this.bank = this.#tlbStart + this.#bankNumber * TLB_BANK_SIZE;
    const aligned = cpl === 3 && this.#paging.alignmentCheck && (this.#registers.lo(StateOffset.cr0) & Cr0.am) !== 0;
    // While accesses are checked none may bypass `probe` and `put`: nothing is filled in, and what there is goes.
    if (aligned && !this.#aligned) this.flush();
    this.#aligned = aligned;
  }

  /** False, with `fault` filled, if an explicit access is misaligned and must not be. */
  #mayAccess(linear: Linear, size: number, write: boolean): boolean {
    if (this.#aligned && (size & (size - 1)) === 0 && (lowHalf(linear) & (size - 1)) !== 0) {
      this.#fail(Vector.ac, 0, linear);
      return false;
    }
    if (this.debug.watchesData) this.debug.noteAccess(linear, size, write);
    return true;
  }

  /** No write to a page may bypass `put` any more: code was decoded from it. */
  watchWrites(page: number): void {
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      if (!this.#bankUsed[bank]) continue;
      const start = (this.#tlbStart + bank * TLB_BANK_SIZE + TLB_WRITE) >> 2;
      for (let word = start; word < start + (TLB_WRITE >> 2); word += TLB_ENTRY_SIZE >> 2) {
        if (this.#i32[word + 3] === page) this.#i32[word]! |= WATCHED;
      }
    }
  }

  readQword(gpa: number, out: Qword): boolean {
    const { ramBytes, ramStart } = this.#space;
    if (gpa + 8 > ramBytes || !(this.#space.permissions(this.#table, Math.floor(gpa / PAGE_BYTES)) & PERMISSION_READ)) return false;
    const word = (ramStart + gpa) >>> 2;
    out.lo = this.#i32[word]!;
    out.hi = this.#i32[word + 1]!;
    return true;
  }

  compareExchangeQword(gpa: number, oldLo: number, oldHi: number, newLo: number, newHi: number): ExchangeStatus {
    const { ramBytes, ramStart } = this.#space;
    if (gpa + 8 > ramBytes || !(this.#space.permissions(this.#table, Math.floor(gpa / PAGE_BYTES)) & PERMISSION_WRITE)) {
      return ExchangeStatus.Failed;
    }
    const word = (ramStart + gpa) >>> 2;
    if (this.#i32[word] !== oldLo || this.#i32[word + 1] !== oldHi) return ExchangeStatus.Changed;
    if (this.#inBlock && !this.#forced && this.#space.overlapsCode(gpa, 8)) {
      this.#marksCode = true;
      return ExchangeStatus.Failed;
    }
    this.#space.beforeWrite(gpa, 8);
    this.#i32[word] = newLo;
    this.#i32[word + 1] = newHi;
    return ExchangeStatus.Exchanged;
  }

  #fail(vector: number, errorCode: number, linear: Linear): -1 {
    this.fault.vector = vector;
    this.fault.errorCode = errorCode;
    this.fault.nonCanonical = vector === Vector.gp;
    this.fault.linear = linear;
    return -1;
  }

  /** The instruction is run again, alone, and may then change code. */
  #retryAlone(): -1 {
    this.#marksCode = false;
    this.fault.vector = RETRY;
    this.fault.nonCanonical = false;
    return -1;
  }

  #failNested(linear: Linear, gpa: number, access: number): -1 {
    this.fault.gpa = gpa;
    this.fault.access = access;
    return this.#fail(NESTED, -1, linear);
  }

  /** The guest physical address of a byte, or -1 with `fault` filled. `access` is made of `PageAccess` bits. */
  translate(linear: Linear, access: number): number {
    if (!isCanonical(linear)) return this.#fail(Vector.gp, 0, linear);
    let gpa: number;
    if (this.#paged) {
      const walked = this.#walked;
      walk(this, this.#paging, lowHalf(linear), highHalf(linear), access, walked);
      if (walked.status === WalkStatus.PageFault) return this.#fail(Vector.pf, walked.errorCode, linear);
      if (walked.status === WalkStatus.NestedFault) {
        if (this.#marksCode) return this.#retryAlone();
        return this.#failNested(linear, walked.failedGpa, (walked.failedWrite ? Access.Write : Access.Read) | Access.PageWalk);
      }
      gpa = walked.gpa;
      if (walked.pageShift > PAGE_SHIFT) this.#largeCached = true;
    } else {
      gpa = linear >= 0 ? linear : linear + 2 ** 48;
    }
    const need = access & PageAccess.Fetch ? PERMISSION_EXECUTE : access & PageAccess.Write ? PERMISSION_WRITE : PERMISSION_READ;
    if (gpa >= this.#space.ramBytes || !(this.#space.permissions(this.#table, Math.floor(gpa / PAGE_BYTES)) & need)) {
      return this.#failNested(linear, gpa, need);
    }
    return gpa;
  }

  /** Translates for an instruction fetch at the current privilege. */
  translateFetch(linear: Linear): number {
    return this.translate(linear, PageAccess.Fetch | this.#mode);
  }

  /** The word where the entry of a linear address begins, in a half of the current bank. */
  #entry(linear: Linear, half: number): number {
    return (this.bank + half + ((lowHalf(linear) >>> 8) & ((TLB_ENTRIES - 1) << 4))) >> 2;
  }

  #fill(linear: Linear, gpa: number, half: number, watched = 0): void {
    if (this.#aligned || this.debug.watchesData) return;
    const lo = lowHalf(linear);
    const word = this.#entry(linear, half);
    const page = Math.floor(gpa / PAGE_BYTES);
    this.#i32[word] = (lo & -PAGE_BYTES) | watched;
    this.#i32[word + 1] = highHalf(linear);
    this.#i32[word + 2] = (this.#space.ramStart + page * PAGE_BYTES - (lo & -PAGE_BYTES)) | 0;
    this.#i32[word + 3] = page;
    this.#bankUsed[this.#bankNumber] = true;
  }

  /** The guest physical address of a write within one page, which is cached; -1 with `fault` filled. */
  #translateWrite(linear: Linear, access: number): number {
    const word = this.#entry(linear, TLB_WRITE);
    const cached = (this.#i32[word]! & ~WATCHED) === (lowHalf(linear) & -PAGE_BYTES) && this.#i32[word + 1] === highHalf(linear);
    const gpa = cached ? this.#i32[word + 3]! * PAGE_BYTES + (lowHalf(linear) & (PAGE_BYTES - 1)) : this.translate(linear, access);
    if (gpa >= 0) this.#fill(linear, gpa, TLB_WRITE, this.#space.holdsCode(Math.floor(gpa / PAGE_BYTES)) ? WATCHED : 0);
    return gpa;
  }

  /**
   * Whether an access of a system instruction is one that the bank of the current mode is for. Descriptor tables and inner stacks are a supervisor's
   * whoever runs; implicit accesses and RFLAGS.AC do not go together.
   */
  #fitsBank(access: number): boolean {
    return this.#bankNumber === ((access & PageAccess.User) === 0 ? TlbBank.supervisor : TlbBank.user);
  }

  /**
   * Where in memory a system instruction's access lies, if the TLB knows and nothing has to be looked at but the translation; −1 if not: `read` and
   * `write` then do it, and fill the TLB.
   */
  inPlace(linear: Linear, size: number, access: number): number {
    const lo = lowHalf(linear);
    if (!this.#fitsBank(access) || this.debug.watchesData || this.#aligned || (lo & (PAGE_BYTES - 1)) + size > PAGE_BYTES) return -1;
    const word = this.#entry(linear, (access & PageAccess.Write) === 0 ? 0 : TLB_WRITE);
    const i32 = this.#i32;
    if (i32[word] !== (lo & -PAGE_BYTES) || i32[word + 1] !== highHalf(linear)) return -1;
    return (lo + i32[word + 2]!) >>> 0;
  }

  /** Keeps the translation of a system instruction's access. */
  #keep(linear: Linear, gpa: number, access: number): void {
    if (!this.#fitsBank(access)) return;
    if ((access & PageAccess.Write) === 0) this.#fill(linear, gpa, 0);
    else if (!this.#space.holdsCode(Math.floor(gpa / PAGE_BYTES))) this.#fill(linear, gpa, TLB_WRITE);
  }

  /** Translates both pages of an access that crosses from one to the next. */
  #translateCrossing(linear: Linear, size: number, access: number): boolean {
    if (!isCanonical(linear + size - 1)) {
      this.#fail(Vector.gp, 0, linear);
      return false;
    }
    const first = this.translate(linear, access);
    if (first < 0) return false;
    const second = this.translate(this.#wrap(linear + size - 1), access);
    if (second < 0) {
      // The fault is at the first byte of the second page (SDM volume 3, 4.7).
      const start = Math.floor(this.#wrap(linear + size - 1) / PAGE_BYTES) * PAGE_BYTES;
      this.fault.linear = start;
      if (this.fault.vector === NESTED && !(this.fault.access & Access.PageWalk)) this.fault.gpa = Math.floor(this.fault.gpa / PAGE_BYTES) * PAGE_BYTES;
      return false;
    }
    this.#firstGpa = first;
    this.#secondGpa = Math.floor(second / PAGE_BYTES) * PAGE_BYTES;
    return true;
  }

  /** Linear addresses have 32 bits outside IA-32e mode. */
  #wrap(linear: Linear): Linear {
    return this.#wraps && linear >= 2 ** 32 ? linear - 2 ** 32 : linear;
  }

  /** Bytes of a crossing access that lie in its first page. */
  #firstPart(linear: Linear): number {
    return PAGE_BYTES - (lowHalf(linear) & (PAGE_BYTES - 1));
  }

  #crosses(linear: Linear, size: number): boolean {
    return (lowHalf(linear) & (PAGE_BYTES - 1)) + size > PAGE_BYTES;
  }

  #accessAddress(): Linear {
    const registers = this.#registers;
    return joinHalves(registers.lo(StateOffset.accessAddress), registers.hi(StateOffset.accessAddress));
  }

  /**
   * The interpreter's `probe`: the byte in memory of the access whose address is in the state, or -1. What cannot be
   * accessed in place is brought to the bounce buffer; a write then ends with `put`.
   */
  probe(flags: number): number {
    this.#inBlock = true;
    const at = this.#probe(flags);
    this.#inBlock = false;
    return at;
  }

  #probe(flags: number): number {
    const size = flags & 0xff;
    const write = (flags & PROBE_WRITE) !== 0;
    const linear = this.#accessAddress();
    const access = this.#mode | (write ? PageAccess.Write : 0);
    const { u8, ramStart } = this.#space;
    if (!this.#mayAccess(linear, size, write)) return -1;
    if (this.#crosses(linear, size)) {
      if (!this.#translateCrossing(linear, size, access)) return -1;
      const part = this.#firstPart(linear);
      u8.copyWithin(this.#bounce, ramStart + this.#firstGpa, ramStart + this.#firstGpa + part);
      u8.copyWithin(this.#bounce + part, ramStart + this.#secondGpa, ramStart + this.#secondGpa + size - part);
      return this.#bounce;
    }
    const gpa = write ? this.#translateWrite(linear, access) : this.translate(linear, access);
    if (gpa < 0) return -1;
    if (!write) this.#fill(linear, gpa, 0);
    else if (this.#space.holdsCode(Math.floor(gpa / PAGE_BYTES))) {
      u8.copyWithin(this.#bounce, ramStart + gpa, ramStart + gpa + size);
      return this.#bounce;
    }
    return (ramStart + gpa) | 0;
  }

  /**
   * The interpreter's `put`: stores the value in the state, 0 when done, -1 when not. A store onto decoded code is
   * refused with RETRY: the instruction is then run alone, with stores forced, so that what comes after it is decoded anew.
   */
  put(size: number): number {
    this.#inBlock = true;
    const done = this.#put(size);
    this.#inBlock = false;
    return done;
  }

  #put(size: number): number {
    const linear = this.#accessAddress();
    const access = this.#mode | PageAccess.Write;
    const value = this.#registers.start + StateOffset.accessValue;
    if (!this.#mayAccess(linear, size, true)) return -1;
    if (this.#crosses(linear, size)) {
      if (!this.#translateCrossing(linear, size, access)) return -1;
      const part = this.#firstPart(linear);
      if (!this.#mayStore(this.#firstGpa, part) || !this.#mayStore(this.#secondGpa, size - part)) return -1;
      this.#copyIn(this.#firstGpa, value, part);
      this.#copyIn(this.#secondGpa, value + part, size - part);
      return 0;
    }
    const gpa = this.#translateWrite(linear, access);
    if (gpa < 0 || !this.#mayStore(gpa, size)) return -1;
    this.#copyIn(gpa, value, size);
    return 0;
  }

  #copyIn(gpa: number, from: number, size: number): void {
    this.#space.u8.copyWithin(this.#space.ramStart + gpa, from, from + size);
  }

  #mayStore(gpa: number, size: number): boolean {
    if (!this.#space.overlapsCode(gpa, size)) return true;
    if (!this.#forced) {
      this.#retryAlone();
      return false;
    }
    this.#forcedStores.push(gpa, size);
    return true;
  }

  /** From here to `endForcedStores`, stores onto decoded code are done. */
  beginForcedStores(): void {
    this.#forced = true;
  }

  /** Drops the code that was stored onto. */
  endForcedStores(): void {
    this.#forced = false;
    const stores = this.#forcedStores;
    for (let i = 0; i < stores.length; i += 2) this.#space.dropCode(stores[i]!, stores[i + 1]!);
    stores.length = 0;
  }

  /** Where a system instruction's access lies in memory; throws GUEST_FAULT. The access must not cross pages. */
  #locate(linear: Linear, access: number): number {
    const gpa = this.translate(linear, access);
    if (gpa < 0) throw GUEST_FAULT;
    return gpa;
  }

  /** An access must not run out of the canonical half it starts in. */
  #requireCanonicalEnd(linear: Linear, size: number): void {
    if (isCanonical(linear + size - 1)) return;
    this.#fail(Vector.gp, 0, linear);
    throw GUEST_FAULT;
  }

  /** The checks of an explicit access, which those to descriptor tables and the TSS are not. */
  #requireAccess(linear: Linear, size: number, access: number): void {
    if (!(access & PageAccess.Implicit) && !this.#mayAccess(linear, size, (access & PageAccess.Write) !== 0)) throw GUEST_FAULT;
  }

  /** Reads `size` bytes, at most 16, into `out` for a system instruction; throws GUEST_FAULT. */
  read(linear: Linear, size: number, access: number, out: Uint8Array): void {
    const { u8, ramStart } = this.#space;
    this.#requireCanonicalEnd(linear, size);
    this.#requireAccess(linear, size, access);
    let gpa = this.#locate(linear, access);
    this.#keep(linear, gpa, access);
    for (let i = 0; i < size; i++) {
      if (i > 0 && (lowHalf(linear + i) & (PAGE_BYTES - 1)) === 0) gpa = this.#locate(this.#wrap(linear + i), access) - i;
      out[i] = u8[ramStart + gpa + i]!;
    }
  }

  /** Writes `size` bytes, at most 16, for a system instruction; throws GUEST_FAULT before anything was written. */
  write(linear: Linear, size: number, access: number, data: Uint8Array): void {
    const { u8, ramStart } = this.#space;
    this.#requireCanonicalEnd(linear, size);
    this.#requireAccess(linear, size, access | PageAccess.Write);
    const part = this.#crosses(linear, size) ? this.#firstPart(linear) : size;
    const gpa = this.#locate(linear, access | PageAccess.Write);
    const next = part < size ? this.#locate(this.#wrap(linear + part), access | PageAccess.Write) : 0;
    this.#keep(linear, gpa, access | PageAccess.Write);
    this.#space.beforeWrite(gpa, part);
    for (let i = 0; i < part; i++) u8[ramStart + gpa + i] = data[i]!;
    if (part === size) return;
    this.#space.beforeWrite(next, size - part);
    for (let i = part; i < size; i++) u8[ramStart + next + i - part] = data[i]!;
  }

  /** `PageAccess` bits of an explicit data access at the current privilege. */
  get mode(): number {
    return this.#mode;
  }
}
