/** The memory and registers in which a test microkernel starts (openvmm `tmk_vmm`, `load.rs`; facts of the protocol in hcl-protocol's tmk.ts). */
import { TMK_COMMAND_ADDRESS, TmkSelector, tmkStartInputLayout } from '@paravisor/hcl-protocol';
import type { InitialRegisters } from '@paravisor/virt-core';

const PAGE_SIZE = 0x1000;
const TABLE_ENTRIES = 512;
const LARGE_PAGE_SIZE = 0x200000n;
/** Identity-mapped gigabytes: everything the guest can address with 32 bits, the command address included. */
const MAPPED_GIB = 4;

/** Page-table entry bits (SDM volume 3, table 4-15 and following). */
const Pte = { Present: 1n, Writable: 2n, Accessed: 0x20n, Dirty: 0x40n, Large: 0x80n } as const;
const TABLE = Pte.Present | Pte.Writable | Pte.Accessed;
const LEAF = Pte.Present | Pte.Writable | Pte.Accessed | Pte.Dirty | Pte.Large;

/** Flat 64-bit code and data, ring 0, accessed (SDM volume 3, 3.4.5). */
const GDT = [0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn];
/** Access rights as VMX has them (SDM volume 3, table 25-2): the GDT's, for code and data. */
const CODE_RIGHTS = 0xa09b;
const DATA_RIGHTS = 0xc093;
/** LDTR and TR as a reset leaves them (SDM volume 3, table 10-1). */
const LDT_RIGHTS = 0x82;
const BUSY_TSS_RIGHTS = 0x8b;

/** CR0 = PG | PE, CR4 = PAE, EFER = SCE | LME | LMA | NXE. */
const CR0 = 0x80000001n;
const CR4 = 0x20n;
const EFER = 0xd01n;
/** PAT after a reset (SDM volume 3, 12.12.4). */
const PAT = 0x0007040600070406n;
/** RFLAGS: only the bit that is always set. */
const RFLAGS = 2n;
const RSI = 6;

/** Where the loader puts what it adds after the image: one page of start input, the page tables, the GDT. */
export interface StartPages {
  readonly startInput: number;
  readonly pageTables: number;
  readonly gdt: number;
  /** First byte after all of them. */
  readonly end: number;
}

/** Places the pages after an image that ends at the page boundary `imageEnd`. */
export function placeStartPages(imageEnd: number): StartPages {
  const pageTables = imageEnd + PAGE_SIZE;
  const gdt = pageTables + (2 + MAPPED_GIB) * PAGE_SIZE;
  return { startInput: imageEnd, pageTables, gdt, end: gdt + PAGE_SIZE };
}

/** What RSI points at: where commands go, and which test is wanted. */
export function startInput(testIndex: number): Uint8Array {
  const page = words(tmkStartInputLayout.size / 8);
  page.setBigUint64(tmkStartInputLayout.fields.command.offset, BigInt(TMK_COMMAND_ADDRESS), true);
  page.setBigUint64(tmkStartInputLayout.fields.testIndex.offset, BigInt(testIndex), true);
  return bytesOf(page);
}

/** Page tables at `base` that map the first 4 GiB to themselves with 2 MiB pages: PML4, page-directory pointers, four page directories. */
export function identityPageTables(base: number): Uint8Array {
  const tables = words((2 + MAPPED_GIB) * TABLE_ENTRIES);
  const directoryPointers = BigInt(base + PAGE_SIZE);
  tables.setBigUint64(0, directoryPointers | TABLE, true);
  for (let gib = 0; gib < MAPPED_GIB; gib++) {
    const directory = (2 + gib) * PAGE_SIZE;
    tables.setBigUint64(PAGE_SIZE + 8 * gib, BigInt(base + directory) | TABLE, true);
    for (let entry = 0; entry < TABLE_ENTRIES; entry++) {
      tables.setBigUint64(directory + 8 * entry, (BigInt(gib * TABLE_ENTRIES + entry) * LARGE_PAGE_SIZE) | LEAF, true);
    }
  }
  return bytesOf(tables);
}

/** The default GDT: null, code at selector 8, data at 0x10. */
export function defaultGdt(): Uint8Array {
  const table = words(GDT.length);
  for (const [index, descriptor] of GDT.entries()) table.setBigUint64(8 * index, descriptor, true);
  return bytesOf(table);
}

/** Registers of the boot VP. RSP is zero: the guest brings its own stack. */
export function startRegisters(entry: number, pages: StartPages): InitialRegisters {
  const gpr = Array.from({ length: 16 }, () => 0n);
  gpr[RSI] = BigInt(pages.startInput);
  const data = { selector: TmkSelector.Data, attributes: DATA_RIGHTS, limit: 0xffffffff, base: 0n };
  return {
    gpr,
    rip: BigInt(entry),
    rflags: RFLAGS,
    cr0: CR0,
    cr3: BigInt(pages.pageTables),
    cr4: CR4,
    efer: EFER,
    pat: PAT,
    gdtr: { base: BigInt(pages.gdt), limit: 8 * GDT.length - 1 },
    idtr: { base: 0n, limit: 0xffff },
    segments: [
      data,
      { selector: TmkSelector.Code, attributes: CODE_RIGHTS, limit: 0xffffffff, base: 0n },
      data,
      data,
      data,
      data,
      { selector: 0, attributes: LDT_RIGHTS, limit: 0xffff, base: 0n },
      { selector: 0, attributes: BUSY_TSS_RIGHTS, limit: 0xffff, base: 0n },
    ],
  };
}

const words = (count: number): DataView => new DataView(new ArrayBuffer(8 * count));
const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer as ArrayBuffer);
