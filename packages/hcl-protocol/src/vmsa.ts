/** The SNP VM save area (AMD APM volume 2, appendix B, table B-4), as far as a paravisor uses it. */
import { bytesAt, defineLayout, structArrayAt, u16At, u32At, u64At, u64ArrayAt, u8At, viewOf } from './layout.js';
import type { View } from './layout.js';

export const vmsaSelectorLayout = defineLayout({
  name: 'vmcb_seg',
  size: 16,
  fields: { selector: u16At(0), attributes: u16At(2), limit: u32At(4), base: u64At(8) },
});

/** Index into `selectors`. */
export const VmsaSelector = { Es: 0, Cs: 1, Ss: 2, Ds: 3, Fs: 4, Gs: 5, Gdtr: 6, Ldtr: 7, Idtr: 8, Tr: 9 } as const;

export const vmsaLayout = defineLayout({
  name: 'sev_vmsa',
  size: 4096,
  fields: {
    selectors: structArrayAt(0x00, vmsaSelectorLayout, 10),
    /** PL0_SSP .. PL3_SSP. */
    plSsp: u64ArrayAt(0xa0, 4),
    uCet: u64At(0xc0),
    reserved1: u16At(0xc8),
    vmpl: u8At(0xca),
    cpl: u8At(0xcb),
    reserved2: u32At(0xcc),
    efer: u64At(0xd0),
    reserved3: bytesAt(0xd8, 0x70),
    cr4: u64At(0x148),
    cr3: u64At(0x150),
    cr0: u64At(0x158),
    dr7: u64At(0x160),
    dr6: u64At(0x168),
    rflags: u64At(0x170),
    rip: u64At(0x178),
    dr0to3: u64ArrayAt(0x180, 4),
    reserved4: bytesAt(0x1a0, 0x38),
    rsp: u64At(0x1d8),
    reserved5: bytesAt(0x1e0, 0x18),
    rax: u64At(0x1f8),
    star: u64At(0x200),
    lstar: u64At(0x208),
    cstar: u64At(0x210),
    sfmask: u64At(0x218),
    kernelGsBase: u64At(0x220),
    sysenterCs: u64At(0x228),
    sysenterEsp: u64At(0x230),
    sysenterEip: u64At(0x238),
    cr2: u64At(0x240),
    reserved6: bytesAt(0x248, 0x20),
    pat: u64At(0x268),
    reserved7: bytesAt(0x270, 0x7c),
    tscAux: u32At(0x2ec),
    reserved11: bytesAt(0x2f0, 0x10),
    registerProtectionNonce: u64At(0x300),
    rcx: u64At(0x308),
    rdx: u64At(0x310),
    rbx: u64At(0x318),
    secureAvicControl: u64At(0x320),
    rbp: u64At(0x328),
    rsi: u64At(0x330),
    rdi: u64At(0x338),
    /** R8 .. R15. */
    r8to15: u64ArrayAt(0x340, 8),
    reserved8: bytesAt(0x380, 0x10),
    exitInfo1: u64At(0x390),
    exitInfo2: u64At(0x398),
    exitIntInfo: u64At(0x3a0),
    nextRip: u64At(0x3a8),
    sevFeatures: u64At(0x3b0),
    vIntrCntrl: u64At(0x3b8),
    /** The SVM exit code. */
    guestErrorCode: u64At(0x3c0),
    virtualTom: u64At(0x3c8),
    /** Whose translations the processor holds: hardware that finds other values than it left here flushes at VMRUN. */
    tlbId: u64At(0x3d0),
    pcpuId: u64At(0x3d8),
    eventInject: u64At(0x3e0),
    xcr0: u64At(0x3e8),
    reserved9: bytesAt(0x3f0, 0x10),
    x87Dp: u64At(0x400),
    mxcsr: u32At(0x408),
    /** Abridged: a set bit is a register in use. */
    x87Ftw: u16At(0x40c),
    x87Fsw: u16At(0x40e),
    x87Fcw: u16At(0x410),
    x87Fop: u16At(0x412),
    x87Ds: u16At(0x414),
    x87Cs: u16At(0x416),
    x87Rip: u64At(0x418),
    /** Eight registers of ten bytes. */
    x87Registers: bytesAt(0x420, 80),
    /** XMM0 .. XMM15, low and high halves. */
    xmm: u64ArrayAt(0x470, 32),
    /** Upper halves of YMM0 .. YMM15. */
    ymmHigh: u64ArrayAt(0x570, 32),
    reserved10: bytesAt(0x670, 0x990),
  },
});

export type Vmsa = View<(typeof vmsaLayout)['fields']>;
export const viewVmsa = (page: Uint8Array): Vmsa => viewOf(vmsaLayout, page);

/** Bits of the low half of `sevFeatures` (APM appendix B). */
export const SevFeature = {
  Snp: 1 << 0,
  Vtom: 1 << 1,
  ReflectVc: 1 << 2,
  RestrictedInjection: 1 << 3,
  AlternateInjection: 1 << 4,
  DebugSwap: 1 << 5,
  SecureAvic: 1 << 16,
} as const;

/** Virtual interrupt control. The low half holds TPR 7:0, IRQ .. NMI enable; the high half vector 7:0 and guest busy 31. */
export const VIntr = {
  TprMask: 0xff,
  Irq: 1 << 8,
  Gif: 1 << 9,
  Shadow: 1 << 10,
  Nmi: 1 << 11,
  NmiMask: 1 << 12,
  PriorityShift: 16,
  PriorityMask: 0xf << 16,
  IgnoreTpr: 1 << 20,
  NmiEnable: 1 << 26,
  HighVectorMask: 0xff,
  HighGuestBusy: 1 << 31,
} as const;

/** Event injection and exit_int_info, low half; the error code is the high half. Types as in `EventInjectType`. */
export const EventInject = { VectorMask: 0xff, TypeShift: 8, TypeMask: 7 << 8, ErrorCodeValid: 1 << 11, Valid: 1 << 31 } as const;
export const EventInjectType = { External: 0, Nmi: 2, Exception: 3, Software: 4 } as const;

/** SVM exit codes a paravisor handles (APM appendix C). Open: a number with named cases. */
export const SvmExit = {
  Intr: 0x60,
  Nmi: 0x61,
  Smi: 0x62,
  Vintr: 0x64,
  Rdpmc: 0x6f,
  Cpuid: 0x72,
  Invd: 0x76,
  Pause: 0x77,
  Hlt: 0x78,
  Ioio: 0x7b,
  Msr: 0x7c,
  Shutdown: 0x7f,
  Vmmcall: 0x81,
  Wbinvd: 0x89,
  Xsetbv: 0x8d,
  IdleHlt: 0xa6,
  Npf: 0x400,
  AvicIncompleteIpi: 0x401,
  AvicNoAccel: 0x402,
  Vmgexit: 0x403,
  BusLock: 0xa5,
} as const;

/** IOIO exit_info1: bit 0 in, 2 string, 3 rep, 4/5/6 size 1/2/4, port 31:16 (APM 15.10.2). */
export const SvmIoInfo = { In: 1, String: 1 << 2, Rep: 1 << 3, Size8: 1 << 4, Size16: 1 << 5, Size32: 1 << 6, PortShift: 16 } as const;

/** NPF exit_info1: the page-fault error code; bit 1 is a write (APM 15.25.6). */
export const SvmNpfInfo = { Present: 1, Write: 2, User: 4, Fetch: 1 << 4 } as const;
