import { U64 } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine } from '@paravisor/hcl-protocol';
import { createWalkResult, ExchangeStatus, PageAccess, PagingFormat, readPdptes, walk, WalkStatus } from '@paravisor/x86-cpu/emulate';
import type { PagingState, PhysicalAccess, Qword } from '@paravisor/x86-cpu/emulate';
import type { GuestRegisters } from '../contract/index.js';

/** Control-register and RFLAGS bits a page walk depends on (Intel SDM volume 3, 4.1.3). */
const CR0_WP = 1 << 16;
const CR0_PG = 1 << 31;
const CR4_PSE = 1 << 4;
const CR4_PAE = 1 << 5;
const CR4_SMEP = 1 << 20;
const CR4_SMAP = 1 << 21;
const EFER_LMA = 1 << 10;
const EFER_NXE = 1 << 11;
const RFLAGS_AC = 1 << 18;

/** Page tables as the walk sees them: guest memory over the ioctl line. */
class PageTableMemory implements PhysicalAccess {
  readonly #memory: GuestMemoryLine;
  readonly #cell = new U64();
  readonly #replacement = new U64();

  constructor(memory: GuestMemoryLine) {
    this.#memory = memory;
  }

  readQword(gpa: number, out: Qword): boolean {
    if (!this.#memory.readU64(gpa, this.#cell)) return false;
    out.lo = this.#cell.lo;
    out.hi = this.#cell.hi;
    return true;
  }

  compareExchangeQword(gpa: number, oldLo: number, oldHi: number, newLo: number, newHi: number): ExchangeStatus {
    const exchanged = this.#memory.compareExchange(gpa, 8, this.#cell.setParts(oldLo, oldHi), this.#replacement.setParts(newLo, newHi));
    if (exchanged < 0) return ExchangeStatus.Failed;
    return exchanged === 1 ? ExchangeStatus.Exchanged : ExchangeStatus.Changed;
  }
}

/** Why a translation failed. */
export interface TranslationFailure {
  /** The guest's own fault: inject #PF with `errorCode`. False: a page table at `gpa` lies outside RAM. */
  pageFault: boolean;
  linear: bigint;
  errorCode: number;
  gpa: number;
}

/**
 * Linear to guest physical addresses through the guest's own page tables, with accessed and dirty bits set as its processor would. One lower VTL's
 * state at a time: `begin` takes it over.
 */
export class GuestTranslation {
  readonly failure: TranslationFailure = { pageFault: false, linear: 0n, errorCode: 0, gpa: 0 };
  readonly #tables: PageTableMemory;
  readonly #paging: PagingState;
  readonly #result = createWalkResult();
  readonly #register = new U64();
  #userAccess = 0;
  #isPaged = false;

  constructor(memory: GuestMemoryLine, physicalAddressBits: number) {
    this.#tables = new PageTableMemory(memory);
    this.#paging = {
      format: PagingFormat.FourLevel, pdptes: new Int32Array(8), pageSizeExtensions: false, cr3Lo: 0, cr3Hi: 0, writeProtect: false, noExecuteEnable: false, smep: false, smap: false, alignmentCheck: false,
      physicalAddressBits,
    };
  }

  /** Takes over the paging state of a VTL. */
  begin(registers: GuestRegisters): void {
    const paging = this.#paging;
    const register = this.#register;
    registers.readCr(3, register);
    paging.cr3Lo = register.lo;
    paging.cr3Hi = register.hi;
    registers.readCr(0, register);
    this.#isPaged = (register.lo & CR0_PG) !== 0;
    paging.writeProtect = (register.lo & CR0_WP) !== 0;
    registers.readCr(4, register);
    paging.pageSizeExtensions = (register.lo & CR4_PSE) !== 0;
    const extended = (register.lo & CR4_PAE) !== 0;
    paging.smep = (register.lo & CR4_SMEP) !== 0;
    paging.smap = (register.lo & CR4_SMAP) !== 0;
    registers.readEfer(register);
    paging.noExecuteEnable = (register.lo & EFER_NXE) !== 0;
    paging.format = register.lo & EFER_LMA ? PagingFormat.FourLevel : extended ? PagingFormat.Pae : PagingFormat.TwoLevel;
    // A table that is out of order was refused when CR3 was loaded: the entries of the last walk stand for those the processor holds.
    if (this.#isPaged && paging.format === PagingFormat.Pae) readPdptes(this.#tables, paging.cr3Lo, paging.physicalAddressBits, paging.pdptes);
    paging.alignmentCheck = (registers.readRflags() & RFLAGS_AC) !== 0;
    this.#userAccess = registers.cpl() === 3 ? PageAccess.User : 0;
  }

  /** The guest physical address of `linear` for `access` (`PageAccess.Read`, `Write` or `Fetch`), or −1 with the reason in `failure`. */
  translate(linear: bigint, access: number): number {
    if (!this.#isPaged) return Number(linear);
    const result = this.#result;
    walk(this.#tables, this.#paging, Number(BigInt.asIntN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n)), access | this.#userAccess, result);
    if (result.status === WalkStatus.Ok) return result.gpa;
    this.failure.pageFault = result.status === WalkStatus.PageFault;
    this.failure.linear = linear;
    this.failure.errorCode = result.errorCode;
    this.failure.gpa = result.failedGpa;
    return -1;
  }
}
