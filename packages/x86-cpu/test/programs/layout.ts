/** Where a random program finds things, in guest physical memory; the first MiB is mapped to itself, and the second MiB to the same. */
export const RAM = 0x10_0000;

/** Interrupt vectors of real mode, then descriptor tables of the other modes. */
export const IDT_LONG = 0x1000;
export const IDT_PROTECTED = 0x2000;
export const GDT = 0x3000;
export const GDT_LIMIT = 0x9f;
export const TSS_LONG = 0x3800;
export const TSS_PROTECTED = 0x3900;
export const LDT = 0x3c00;

/** Page tables of four levels, of PAE (whose directory is that of four levels) and of two levels. */
export const PML4 = 0x4000;
export const PDPT = 0x5000;
export const DIRECTORY = 0x6000;
export const TABLE = 0x7000;
export const PAE_POINTERS = 0x8000;
export const SHORT_DIRECTORY = 0x9000;
export const SHORT_TABLE = 0xa000;

/** Handlers of 64-bit mode, protected mode and real mode, sixteen bytes a vector; the real ones for 64 vectors. */
export const HANDLERS_LONG = 0xb000;
export const HANDLERS_PROTECTED = 0xc000;
export const HANDLERS_REAL = 0x0600;
export const HANDLER_BYTES = 16;

/** What lies below is written anew whenever the program is entered anew. */
export const SYSTEM_END = 0x1_0000;

/** Two pages of random code, data behind them, a stack at the end: everything a 16-bit segment at CODE reaches. */
export const CODE = 0x1_0000;
export const CODE_BYTES = 0x2000;
export const DATA = 0x1_3000;
export const STACK = 0x1_f000;
export const PRIVILEGED_STACK = 0x2_f000;
export const OTHER_STACK = 0x3_f000;

/** Selectors. `long` is 64-bit code, `code` 32-bit and `short` 16-bit code. */
export const Selector = {
  long: 0x08, data: 0x10, userData: 0x18, userLong: 0x20, tssLong: 0x28, code: 0x38, short: 0x40, userCode: 0x48, tss: 0x50, gate: 0x58, ldt: 0x60, conforming: 0x70,
  expandDown: 0x78, absent: 0x80, shortStack: 0x88, userShort: 0x90,
} as const;
