/**
 * What the rooms above see of a guest processor. The processor knows memory, faults and intercepts; it knows no
 * hypervisor. Everything 64-bit crosses as two 32-bit halves in typed arrays (lo, hi) or as an exact number below
 * 2^53 (guest physical addresses, ticks, retired instructions): no BigInt on the way of an exit.
 */

import type { ProcessorState } from './processor/saved-state.js';

export type { ProcessorState };

/** Why `Processor.run` returned. */
export const Stop = {
  /** Exactly the instructions asked for were retired. */
  Budget: 0,
  /** An intercept: see `Processor.exit`. The intercepted instruction retired nothing; RIP points at it. */
  Intercept: 1,
  /** An instruction with a cost of its own retired, or events follow each other without end (see `Costed`); the caller charges it and runs on. */
  Costed: 2,
  /** HLT retired without an intercept; RIP is behind it. */
  Halted: 3,
  /** A triple fault: registers are those before the faulting instruction. */
  Shutdown: 4,
  /** The instruction at RIP reads or sets the time stamp counter, and `ProcessorClock.readable` said no. It retired nothing; run again later. */
  Unreadable: 5,
} as const;
export type Stop = (typeof Stop)[keyof typeof Stop];

/**
 * What ends a run because time may have to be charged for it. In `exit.kind` after `Stop.Costed`. All but one are instructions, and have retired. `Event` is the
 * second of two events that were delivered with no instruction between them: a handler whose own first instruction faults never retires any, so without time
 * that passes a guest would keep its host for ever (CVE-2015-5307 and CVE-2015-8104 are this on hardware).
 */
export const Costed = { Rdtsc: 1, Pause: 2, Cpuid: 3, Wbinvd: 4, Event: 5 } as const;

/** What was intercepted. In `exit.kind` after `Stop.Intercept`. Open: a number with named cases. */
export const ExitKind = {
  Exception: 1,
  InterruptWindow: 2,
  NmiWindow: 3,
  Cpuid: 4,
  Hlt: 5,
  Io: 6,
  MsrRead: 7,
  MsrWrite: 8,
  CrAccess: 9,
  DrAccess: 10,
  DescriptorTable: 11,
  NestedPageFault: 12,
  /** VMCALL (0F 01 C1). */
  Vmcall: 13,
  /** VMMCALL (0F 01 D9). */
  Vmmcall: 14,
  /** TDCALL (66 0F 01 CC). */
  Tdcall: 15,
  /** VMGEXIT (F3 0F 01 D9). */
  Vmgexit: 16,
  Xsetbv: 17,
  Wbinvd: 18,
  Invd: 19,
  Rdpmc: 20,
  Pause: 21,
  Rdtsc: 22,
  Monitor: 23,
  Mwait: 24,
  Invlpg: 25,
  /** `VirtualApic.write` asked for it. Unlike the others a trap: the instruction has retired, and RIP is behind it. */
  ApicWrite: 26,
} as const;
export type ExitKind = (typeof ExitKind)[keyof typeof ExitKind];

/** Bits of `ProcessorExit.access` for a nested page fault. */
export const Access = { Read: 1, Write: 2, Execute: 4, /** The access was the guest's page walk itself. */ PageWalk: 8 } as const;

/** One reused record; fields a kind does not name are stale. Plain int32-range numbers unless said otherwise. */
export interface ProcessorExit {
  kind: number;
  /** Bytes of the intercepted instruction; 0 where no instruction caused the exit. */
  instructionLength: number;
  /** NestedPageFault: guest physical address of the first byte that failed, an exact number. */
  gpa: number;
  /** NestedPageFault: guest linear address. */
  gvaLo: number;
  gvaHi: number;
  /** NestedPageFault: `Access` bits. */
  access: number;
  /** Exception: vector. CrAccess: control register number. DrAccess: debug register number. */
  vector: number;
  /** Exception: 1 when an error code comes with it, in `errorCode`. */
  hasErrorCode: number;
  errorCode: number;
  /** Io: port; size in bytes; direction; string and rep forms; address size in bytes. */
  port: number;
  size: number;
  isIn: number;
  isString: number;
  isRep: number;
  addressSize: number;
  /** CrAccess and DrAccess: 0 write (MOV to), 1 read (MOV from), 2 CLTS, 3 LMSW. */
  crAccess: number;
  /** CrAccess, DrAccess, DescriptorTable: general register number of the operand; LMSW: the source value. */
  register: number;
  /** DescriptorTable: 0 SGDT 1 SIDT 2 LGDT 3 LIDT 4 SLDT 5 STR 6 LLDT 7 LTR. */
  tableAccess: number;
  /**
   * An event whose delivery through the IDT was cut off by this exit, in the VMX IDT-vectoring information format
   * (vector 7:0, type 10:8, error code valid 11, valid 31), else 0; with its error code.
   */
  idtVectoring: number;
  idtVectoringErrorCode: number;
}

/** Event types of VM-entry interruption information (SDM 25.8.3); SVM uses the same numbers for 0, 2, 3 and 4. */
export const EventType = { External: 0, Nmi: 2, Exception: 3, SoftwareInterrupt: 4, PrivilegedSoftware: 5, SoftwareException: 6 } as const;

/** Intercepts as configuration: written between runs, at most at entries; `Processor.interceptsChanged()` after a change. */
export interface Intercepts {
  cpuid: boolean;
  hlt: boolean;
  pause: boolean;
  rdtsc: boolean;
  rdpmc: boolean;
  wbinvd: boolean;
  invd: boolean;
  xsetbv: boolean;
  vmcall: boolean;
  tdcall: boolean;
  descriptorTables: boolean;
  monitor: boolean;
  /** All port I/O exits when true; when false, IN reads all ones and OUT is dropped. */
  io: boolean;
  /** Bit n: exceptions of vector n exit instead of being delivered. */
  exceptions: number;
  /**
   * CR0 and CR4: a MOV to the register exits when it changes a bit of the mask against the shadow, as in VMX; the
   * guest reads shadow bits where the mask is set. CR3 and CR8: exit on load or store.
   */
  cr0Mask: number;
  cr0Shadow: number;
  cr4Mask: number;
  cr4Shadow: number;
  cr3Load: boolean;
  cr3Store: boolean;
  cr8Load: boolean;
  cr8Store: boolean;
  drAccess: boolean;
  /** Exit as soon as an external interrupt (an NMI) could be delivered. */
  interruptWindow: boolean;
  nmiWindow: boolean;
  /**
   * 4 KiB in VMX layout (SDM 25.6.9): read low, read high, write low, write high, 1 KiB each; a set bit exits. MSRs
   * outside both ranges always exit.
   */
  readonly msrBitmap: Uint8Array;
}

/** Byte offsets inside `Processor.bytes`; 64-bit unless said. `gpr` is RAX RCX RDX RBX RSP RBP RSI RDI R8..R15. */
export interface StateLayout {
  gpr: number;
  rip: number;
  cr0: number;
  cr2: number;
  cr3: number;
  cr4: number;
  cr8: number;
  efer: number;
  dr0: number;
  dr6: number;
  dr7: number;
  xcr0: number;
  gdtrBase: number;
  /** u32 */ gdtrLimit: number;
  idtrBase: number;
  /** u32 */ idtrLimit: number;
  /**
   * Eight segment records of `segmentSize` bytes in the order ES CS SS DS FS GS LDTR TR: selector u16, attributes u16
   * in VMX access-rights order (type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, DB 14, G 15; unusable is bit 16 of VMX, here
   * P = 0), limit u32 (bytes, expanded), base u64.
   */
  segments: number;
  segmentSize: number;
  star: number;
  lstar: number;
  cstar: number;
  sfmask: number;
  kernelGsBase: number;
  tscAux: number;
  sysenterCs: number;
  sysenterEsp: number;
  sysenterEip: number;
  pat: number;
  /** Added to the clock for RDTSC and MSR 0x10. */
  tscOffset: number;
  /** i32: 0 none, bit 0 blocking by STI, bit 1 by MOV SS, bit 3 by NMI (VMX interruptibility format). */
  interruptibility: number;
  /** XMM0 .. XMM15, 16 bytes each. */
  xmm: number;
  /** R0 .. R7 of the x87 by number (ST(0) is R[top]), 10 bytes each, 16 apart. */
  x87: number;
  /** u16: control word, status word, abridged tag word (a set bit is a register in use). */
  x87Control: number;
  x87Status: number;
  x87Tag: number;
  /** u32 */
  mxcsr: number;
}

/**
 * Registers of the local APIC that the processor virtualizes without an exit (SDM volume 3, 30.1 and 30.5). `register` is the x2APIC number, MSR − 0x800.
 * CR8 is bits 7:4 of the task priority, register 8.
 */
export interface VirtualApic {
  /** RDMSR of 0x800 .. 0x8ff that no bitmap bit intercepts, and MOV from CR8: bits 31:0, the rest reads 0. */
  read(register: number): number;
  /**
   * WRMSR to the task priority (8), EOI (0xb) or self-IPI (0x3f) that no bitmap bit intercepts, and MOV to CR8. True: exit behind the instruction,
   * as `ExitKind.ApicWrite`. It may change `Processor.virtualInterrupt`.
   */
  write(register: number, value: number): boolean;
}

/** The time a processor sees. `ticks` is asked with `Processor.retired` brought up to date first. */
export interface ProcessorClock {
  /** Virtual TSC ticks now, an exact number below 2^53. */
  ticks(): number;
  /** Whether the time may be read now: false stops the run with `Stop.Unreadable`. Always, when left out. */
  readable?(): boolean;
}

export interface ProcessorOptions {
  /** Index of this register context in the machine memory: one per VP and VTL. */
  index: number;
  /** Which permission table of the machine memory guards this context's accesses (one per VTL). */
  permissionTable: number;
  vendor: 'intel' | 'amd';
  clock: ProcessorClock;
  /** How code is executed; nothing of it shows in state or counts. Default `auto`. */
  executor?: Executor;
}

/** `interpreter`: the interpreter alone. `translator`: what it can is translated to WebAssembly when it first runs again. `auto`: what is hot is. */
export type Executor = 'interpreter' | 'translator' | 'auto';

export interface Processor {
  /** The state area: plain memory that a debugger or a snapshot can read. Lay-out: `stateLayout`. */
  readonly bytes: Uint8Array;
  readonly i32: Int32Array;
  /** Instructions retired since creation, an exact number. Up to date whenever `run` is not active. */
  readonly retired: number;
  readonly exit: ProcessorExit;
  readonly intercepts: Intercepts;
  /** To be called after a change to `intercepts` that cached decisions could depend on. */
  interceptsChanged(): void;
  /** RFLAGS is kept lazily: read and write it here only. */
  readRflags(): number;
  writeRflags(value: number): void;
  /** To be called after a write from outside to CR0, CR3, CR4, EFER or a segment: recomputes the mode, flushes the TLB where due. */
  stateChanged(): void;
  flushTlb(): void;
  /**
   * Queues an event for delivery through the IDT at the start of the next run, before any instruction, whatever IF.
   * `errorCode` below 0 means none. `instructionLength` is added to RIP for software events.
   */
  inject(type: number, vector: number, errorCode: number, instructionLength: number): void;
  /**
   * A virtual interrupt line, as SVM's V_IRQ: taken by the processor itself at the first boundary where IF is set, no shadow
   * blocks, and (vector >> 4) is above CR8 unless `ignoreTpr`. -1 withdraws. Reads -1 again once taken.
   */
  virtualInterrupt: number;
  virtualInterruptIgnoreTpr: boolean;
  /** Where task priority, EOI and self-IPI go; null: CR8 is a register of the processor's own, and the x2APIC MSRs are none. */
  virtualApic: VirtualApic | null;
  /**
   * Delivers what `inject` queued, running no instruction and looking at nothing else: `Budget` when it is delivered or nothing was queued, else
   * `Intercept` or `Shutdown`.
   */
  deliverInjected(): Stop;
  /** Runs at most `maxInstructions` (1 .. 2^30). */
  run(maxInstructions: number): Stop;
  /** The state while `run` is not active. What the owner gives the processor (clock, hooks) is not in it. */
  save(): ProcessorState;
  /**
   * Gives a fresh processor of the same options a saved state, in a memory whose RAM, permissions and code lines have been restored. It then runs as the
   * saved one does. @throws {RangeError} for a state of another shape.
   */
  restore(state: ProcessorState): void;
}
