import { CODE, GDT, GDT_LIMIT, IDT_LONG, IDT_PROTECTED, PAE_POINTERS, PML4, Selector, SHORT_DIRECTORY } from './layout.js';

/** One segment register: selector, attributes in VMX access-rights order, base, limit. */
export type Segment = readonly [selector: number, attributes: number, base: number, limit: number];

/** How a program is entered. */
export interface Mode {
  readonly name: string;
  /** Width of its code. */
  readonly bits: 16 | 32 | 64;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly user: boolean;
  readonly code: Segment;
  /** DS, ES, FS and GS. */
  readonly data: Segment;
  readonly stack: Segment;
  readonly idt: readonly [base: number, limit: number];
  readonly gdt: readonly [base: number, limit: number];
  /** RFLAGS beside bit 1. */
  readonly flags: number;
  /** Breakpoints on code and data are armed. */
  readonly breakpoints: boolean;
}

const FLAT = 0xffff_ffff;
const PE = 0x31;
const PG = 0x8000_0000;
const WP = 0x1_0000;
const AM = 0x4_0000;
const PSE = 0x10;
const PAE = 0x20;
const SSE = 0x600;
const UMIP = 0x800;
const FSGSBASE = 0x1_0000;
const PCIDE = 0x2_0000;
const OSXSAVE = 0x4_0000;
const SMEP_SMAP = 0x30_0000;
const NXE = 0x800;
const LONG = 0x501;
const TF = 0x100;
const AC = 0x4_0000;
const IOPL = 0x3000;

const longIdt = [IDT_LONG, 0xfff] as const;
const protectedIdt = [IDT_PROTECTED, 0x7ff] as const;
const gdt = [GDT, GDT_LIMIT] as const;
const kernelData: Segment = [Selector.data, 0xc093, 0, FLAT];
const userData: Segment = [Selector.userData | 3, 0xc0f3, 0, FLAT];

const real: Mode = {
  name: 'real mode', bits: 16, cr0: 0x10, cr3: 0, cr4: SSE, efer: 0, user: false,
  code: [CODE >> 4, 0x9b, CODE, 0xffff], data: [CODE >> 4, 0x93, CODE, 0xffff], stack: [CODE >> 4, 0x93, CODE, 0xffff],
  idt: [0, 0x3ff], gdt, flags: 0x200, breakpoints: false,
};
const flat: Mode = {
  name: '32-bit, no paging', bits: 32, cr0: PE, cr3: 0, cr4: SSE, efer: 0, user: false,
  code: [Selector.code, 0xc09b, 0, FLAT], data: kernelData, stack: kernelData,
  idt: protectedIdt, gdt, flags: 0, breakpoints: false,
};
const flatUser: Mode = { ...flat, name: '32-bit, ring 3, no paging', user: true, code: [Selector.userCode | 3, 0xc0fb, 0, FLAT], data: userData, stack: userData, flags: 0x200 };
const long: Mode = {
  name: '64-bit', bits: 64, cr0: PE | PG, cr3: PML4, cr4: PAE | SSE, efer: LONG | NXE, user: false,
  code: [Selector.long, 0xa09b, 0, FLAT], data: kernelData, stack: kernelData,
  idt: longIdt, gdt, flags: 0, breakpoints: false,
};
const longUser: Mode = { ...long, name: '64-bit, ring 3', user: true, cr0: PE | PG | WP, cr4: PAE | SSE | FSGSBASE, code: [Selector.userLong | 3, 0xa0fb, 0, FLAT], data: userData, stack: userData, flags: 0x200 };
const compatible = { data: kernelData, stack: kernelData } as const;

/** Every class of mode that a program is entered in. */
export const MODES: readonly Mode[] = [
  real,
  { ...real, name: 'real mode with large segments', data: [0, 0x93, 0, FLAT], stack: [0, 0x93, 0, FLAT] },
  { ...flat, name: '16-bit protected mode', bits: 16, code: [Selector.short, 0x9b, CODE, 0xffff], data: [Selector.data, 0x93, CODE, 0xffff], stack: [Selector.data, 0x93, CODE, 0xffff] },
  flat,
  flatUser,
  { ...flat, name: '32-bit with tight limits', code: [Selector.code, 0x409b, 0, 0x1_2fff], data: [Selector.expandDown, 0xc097, 0, 0xfff], stack: [Selector.shortStack, 0x93, 0x1_0000, 0xffff] },
  { ...flat, name: 'two-level paging', cr0: PE | PG | WP, cr3: SHORT_DIRECTORY, cr4: PSE | SSE },
  { ...flatUser, name: 'two-level paging, ring 3', cr0: PE | PG, cr3: SHORT_DIRECTORY, cr4: SSE | UMIP, flags: IOPL },
  { ...flat, name: 'PAE paging', cr0: PE | PG | WP, cr3: PAE_POINTERS, cr4: PAE | SSE, efer: NXE },
  { ...flatUser, name: 'PAE paging, ring 3, alignment checked', cr0: PE | PG | WP | AM, cr3: PAE_POINTERS, cr4: PAE | SSE | SMEP_SMAP, efer: NXE, flags: AC },
  long,
  { ...long, name: '64-bit with SMEP, SMAP, UMIP and PCIDs', cr0: PE | PG | WP, cr4: PAE | SSE | UMIP | FSGSBASE | PCIDE | OSXSAVE | SMEP_SMAP, flags: 0x200 },
  { ...long, name: '64-bit under breakpoints', flags: 0x200, breakpoints: true },
  { ...long, name: '64-bit in single steps', flags: TF },
  longUser,
  { ...longUser, name: '64-bit, ring 3, alignment checked', cr0: PE | PG | WP | AM, cr4: PAE | SSE | UMIP | OSXSAVE, flags: AC },
  { ...long, ...compatible, name: '32-bit compatibility mode', bits: 32, code: [Selector.code, 0xc09b, 0, FLAT] },
  { ...long, ...compatible, name: '16-bit compatibility mode', bits: 16, code: [Selector.short, 0x9b, CODE, 0xffff] },
  { ...longUser, name: '32-bit compatibility mode, ring 3', bits: 32, code: [Selector.userCode | 3, 0xc0fb, 0, FLAT] },
];
