import type { StateLayout } from '../contract.js';

/**
 * Where a register context keeps what, in bytes from the context's start. The public part is `stateLayout`; the rest is
 * the interpreter's own.
 */
export const StateOffset = {
  gpr: 0x000,
  rip: 0x080,
  /** Eight 64-bit temporaries of the instruction in progress. */
  temporaries: 0x088,
  /** Lazy flags: first operand or result. */
  flagA: 0x0c8,
  /** Lazy flags: second operand, or CF, AF and OF in their RFLAGS positions. */
  flagB: 0x0d0,
  /** Lazy flags: i32, `FlagKind` and operand size. */
  flagKind: 0x0d8,
  /** i32: RFLAGS without CF, PF, AF, ZF, SF and OF. */
  systemFlags: 0x0dc,
  /** i32: instructions that may still retire before the interpreter must return. */
  budget: 0x0e0,
  /** i32: record the interpreter stands at. */
  position: 0x0e4,
  /** i32: why a rare micro-operation left. */
  exitCode: 0x0e8,
  /** Linear address of the access that missed the TLB. */
  accessAddress: 0x0f0,
  /** The value of a store that missed the TLB. */
  accessValue: 0x0f8,
  /** Stands in for memory when an access crosses pages or must be watched. */
  bounce: 0x100,
  cr0: 0x120,
  cr2: 0x128,
  cr3: 0x130,
  cr4: 0x138,
  cr8: 0x140,
  efer: 0x148,
  dr0: 0x150,
  dr6: 0x170,
  dr7: 0x178,
  xcr0: 0x180,
  gdtrBase: 0x188,
  gdtrLimit: 0x190,
  idtrBase: 0x198,
  idtrLimit: 0x1a0,
  segments: 0x1a8,
  star: 0x228,
  lstar: 0x230,
  cstar: 0x238,
  sfmask: 0x240,
  kernelGsBase: 0x248,
  tscAux: 0x250,
  sysenterCs: 0x258,
  sysenterEsp: 0x260,
  sysenterEip: 0x268,
  pat: 0x270,
  tscOffset: 0x278,
  interruptibility: 0x280,
  /**
   * Four words a segment from ES to GS: first and last offset that may be read, first and last that may be written. Made from the segment records
   * whenever those change, and used outside 64-bit mode.
   */
  segmentBounds: 0x290,
  /** XMM0 .. XMM15. */
  xmm: 0x300,
  /** Registers R0 .. R7 of the x87, 16 bytes apart, by number, not from the top of the stack; MMX registers are their significands. */
  x87: 0x400,
  /** u16 each; the tag word is the abridged one: a set bit is a register in use. */
  x87Control: 0x480,
  x87Status: 0x482,
  x87Tag: 0x484,
  x87Opcode: 0x486,
  /** Last x87 instruction and its memory operand: offset and selector. */
  x87Instruction: 0x488,
  x87Data: 0x490,
  x87InstructionSelector: 0x498,
  x87DataSelector: 0x49a,
  /** u32 */
  mxcsr: 0x49c,
  /** u64: what RDRAND and RDSEED go on from. */
  random: 0x4a0,
  /** The four entries that PAE paging holds in registers. */
  pdptes: 0x4b0,
  /** i32: DR6 bits of a #DB that is due. */
  pendingDebug: 0x4d0,
} as const;

/** Bytes of a segment record. */
export const SEGMENT_SIZE = 16;

/** Segment numbers: the order of the records in the state. */
export const Segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7 } as const;

/** Bytes of the state area proper: what a snapshot keeps. */
export const STATE_SIZE = 0x600;

/** A translation cache has a read half and a write half of this many direct-mapped entries. */
export const TLB_ENTRIES = 1024;

/**
 * One TLB entry: linear page (u64, all ones when empty), the number to add to a linear address to get the byte in the
 * memory (u32), guest physical page number (u32).
 */
export const TLB_ENTRY_SIZE = 16;

/** From the read half of a bank to its write half: the bytes of a half. */
export const TLB_WRITE = TLB_ENTRIES * TLB_ENTRY_SIZE;

/** Translations differ by mode, so each mode has a TLB of its own. */
export const TlbBank = {
  supervisor: 0,
  user: 1,
  /** Supervisor mode that may touch user pages in spite of CR4.SMAP: RFLAGS.AC is set. */
  supervisorOverride: 2,
} as const;

export const TLB_BANKS = 3;
export const TLB_BANK_SIZE = 2 * TLB_WRITE;

/** Entries of the jump cache: linear address of a block (u64), address of the block (u32), unused (u32). */
export const JUMP_CACHE_ENTRIES = 4096;
export const JUMP_CACHE_ENTRY_SIZE = 16;
export const JUMP_CACHE_SIZE = JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_SIZE;

/** Areas of a context, in bytes from its start. */
export const ContextOffset = {
  state: 0,
  tlb: STATE_SIZE,
  jumpCache: STATE_SIZE + TLB_BANKS * TLB_BANK_SIZE,
  arena: STATE_SIZE + TLB_BANKS * TLB_BANK_SIZE + JUMP_CACHE_SIZE,
} as const;

/** Room for micro-operations and the constants they use; when it is full, all decoded code is dropped. */
export const ARENA_SIZE = 4 * 1024 * 1024;

const PAGE_SIZE = 4096;

/** Bytes a context takes, a whole number of pages. */
export const CONTEXT_SIZE = Math.ceil((ContextOffset.arena + ARENA_SIZE) / PAGE_SIZE) * PAGE_SIZE;

/** Where a debugger or a snapshot finds the registers inside `Processor.bytes`. */
export const stateLayout: StateLayout = {
  gpr: StateOffset.gpr,
  rip: StateOffset.rip,
  cr0: StateOffset.cr0,
  cr2: StateOffset.cr2,
  cr3: StateOffset.cr3,
  cr4: StateOffset.cr4,
  cr8: StateOffset.cr8,
  efer: StateOffset.efer,
  dr0: StateOffset.dr0,
  dr6: StateOffset.dr6,
  dr7: StateOffset.dr7,
  xcr0: StateOffset.xcr0,
  gdtrBase: StateOffset.gdtrBase,
  gdtrLimit: StateOffset.gdtrLimit,
  idtrBase: StateOffset.idtrBase,
  idtrLimit: StateOffset.idtrLimit,
  segments: StateOffset.segments,
  segmentSize: SEGMENT_SIZE,
  star: StateOffset.star,
  lstar: StateOffset.lstar,
  cstar: StateOffset.cstar,
  sfmask: StateOffset.sfmask,
  kernelGsBase: StateOffset.kernelGsBase,
  tscAux: StateOffset.tscAux,
  sysenterCs: StateOffset.sysenterCs,
  sysenterEsp: StateOffset.sysenterEsp,
  sysenterEip: StateOffset.sysenterEip,
  pat: StateOffset.pat,
  tscOffset: StateOffset.tscOffset,
  interruptibility: StateOffset.interruptibility,
  xmm: StateOffset.xmm,
  x87: StateOffset.x87,
  x87Control: StateOffset.x87Control,
  x87Status: StateOffset.x87Status,
  x87Tag: StateOffset.x87Tag,
  mxcsr: StateOffset.mxcsr,
};
