/**
 * `mshv_vtl_run`: the 4 KiB page one VP shares between user mode and the mshv_vtl driver (openvmm `hcl/src/protocol.rs`,
 * OHCL-Linux-Kernel `mshv_vtl`).
 */
import { bytesAt, defineLayout, structAt, u32At, u32ArrayAt, u64At, u64ArrayAt, u8At, viewOf } from './layout.js';
import type { View } from './layout.js';

/** What TDG.VP.ENTER returned, in the order the driver stores it. See `tdx.ts` for the meaning of each word. */
export const tdxExitInfoLayout = defineLayout({
  name: 'tdx_tdg_vp_enter_exit_info',
  size: 88,
  fields: {
    rax: u64At(0),
    rcx: u64At(8),
    rdx: u64At(16),
    rsi: u64At(24),
    rdi: u64At(32),
    r8: u64At(40),
    r9: u64At(48),
    r10: u64At(56),
    r11: u64At(64),
    r12: u64At(72),
    r13: u64At(80),
  },
});

/** L2 register state passed in memory to TDG.VP.ENTER (TDX module ABI, L2_ENTER_GUEST_STATE). */
export const tdxGuestStateLayout = defineLayout({
  name: 'tdx_l2_enter_guest_state',
  size: 160,
  fields: {
    /** RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
    gpr: u64ArrayAt(0, 16),
    rflags: u64At(128),
    rip: u64At(136),
    ssp: u64At(144),
    rvi: u8At(152),
    svi: u8At(153),
    reserved: bytesAt(154, 6),
  },
});

/** Guest registers that the driver switches itself around a lower-VTL run. */
export const tdxVpStateLayout = defineLayout({
  name: 'tdx_vp_state',
  size: 64,
  fields: {
    msrKernelGsBase: u64At(0),
    msrStar: u64At(8),
    msrLstar: u64At(16),
    msrSfmask: u64At(24),
    msrXss: u64At(32),
    cr2: u64At(40),
    msrTscAux: u64At(48),
    flags: u64At(56),
  },
});

/** The lower VTL's TSC deadline as user mode asks for it (PR 2483). */
export const tdxL2TscDeadlineLayout = defineLayout({
  name: 'tdx_l2_tsc_deadline',
  size: 16,
  fields: {
    /** Absolute virtual TSC; 0 means disarmed (SDM style, mapped by the driver). */
    deadline: u64At(0),
    /** Bit 0: the driver writes the deadline at the next entry, and clears the bit. */
    updateDeadline: u8At(8),
    pad: bytesAt(9, 7),
  },
});

/** `fxState`: the 512 bytes of FXSAVE in 64-bit mode (SDM volume 1, table 10-2). */
export const fxStateLayout = defineLayout({
  name: 'fx_state',
  size: 512,
  fields: {
    x87: bytesAt(0, 160),
    /** XMM0 .. XMM15, low and high halves. */
    xmm: u64ArrayAt(160, 32),
    reserved: bytesAt(416, 96),
  },
});

/** The TDX form of the run page's context area. */
export const tdxVpContextLayout = defineLayout({
  name: 'tdx_vp_context',
  size: 1024,
  fields: {
    exitInfo: structAt(0, tdxExitInfoLayout),
    pad1: bytesAt(88, 48),
    vpState: structAt(136, tdxVpStateLayout),
    pad2: bytesAt(200, 32),
    /** Bits 1:0 TLB invalidation kind, bits 53:52 L2 VM index. */
    entryRcx: u64At(232),
    gprList: structAt(240, tdxGuestStateLayout),
    l2TscDeadline: structAt(400, tdxL2TscDeadlineLayout),
    pad3: bytesAt(416, 80),
    fxState: bytesAt(496, 512),
    pad4: bytesAt(1008, 16),
  },
});

/** The SNP form of the run page's context area (PR 4224 added stimer0). */
export const snpVpContextLayout = defineLayout({
  name: 'snp_vp_context',
  size: 1024,
  fields: {
    vmsaTweakBitmap: bytesAt(0, 64),
    stimer0Config: u64At(64),
    stimer0Count: u64At(72),
    /** Reference time (100 ns) of the guest's write to STIMER0_COUNT that the kernel took. */
    stimer0ProgrammedRefTime: u64At(80),
    stimer0Flags: u32At(88),
    pad: bytesAt(92, 932),
  },
});

/** The plain form, for isolation-free VTLs: general registers and CR2 (openvmm `hcl_cpu_context_x64`), then FX state. */
export const cpuContextLayout = defineLayout({
  name: 'hcl_cpu_context_x64',
  size: 1024,
  fields: {
    /** RAX RCX RDX RBX, CR2 in place of RSP, RBP RSI RDI R8 .. R15. */
    gprs: u64ArrayAt(0, 16),
    fxState: bytesAt(128, 512),
    reserved: bytesAt(640, 384),
  },
});

/** Offset of the 1024-byte context area in the run page. */
export const RUN_PAGE_CONTEXT_OFFSET = 272;
export const PAGE_SIZE = 4096;

const runHeaderFields = {
  /** Non-zero: the driver returns EINTR before entering. */
  cancel: u32At(0),
  vtlRetActionSize: u32At(4),
  flags: u32At(8),
  scanProxyIrr: u8At(12),
  offloadFlags: u8At(13),
  pad: u8At(14),
  /** Low nibble: first entry; high nibble: re-entry. */
  enterMode: u8At(15),
  exitMessage: bytesAt(16, 256),
} as const;

const runTrailerFields = {
  vtlRetActions: bytesAt(1296, 256),
  proxyIrr: u32ArrayAt(1552, 8),
  /** The VTL to run under SNP; TDX selects by `entryRcx`. */
  targetVtl: u8At(1584),
  pad2: bytesAt(1585, 3),
  proxyIrrBlocked: u32ArrayAt(1588, 8),
  proxyIrrExitMask: u32ArrayAt(1620, 8),
  reserved: bytesAt(1652, 2444),
} as const;

/** The run page with its context as bytes. */
export const runPageLayout = defineLayout({
  name: 'mshv_vtl_run',
  size: PAGE_SIZE,
  fields: { ...runHeaderFields, context: bytesAt(RUN_PAGE_CONTEXT_OFFSET, 1024), ...runTrailerFields },
});

/** The run page as a TDX driver and backing see it. */
export const tdxRunPageLayout = defineLayout({
  name: 'mshv_vtl_run (TDX)',
  size: PAGE_SIZE,
  fields: { ...runHeaderFields, context: structAt(RUN_PAGE_CONTEXT_OFFSET, tdxVpContextLayout), ...runTrailerFields },
});

/** The run page as an SNP driver and backing see it. */
export const snpRunPageLayout = defineLayout({
  name: 'mshv_vtl_run (SNP)',
  size: PAGE_SIZE,
  fields: { ...runHeaderFields, context: structAt(RUN_PAGE_CONTEXT_OFFSET, snpVpContextLayout), ...runTrailerFields },
});

export type RunPage = View<(typeof runPageLayout)['fields']>;
export type TdxRunPage = View<(typeof tdxRunPageLayout)['fields']>;
export type SnpRunPage = View<(typeof snpRunPageLayout)['fields']>;

export const viewRunPage = (page: Uint8Array): RunPage => viewOf(runPageLayout, page);
export const viewTdxRunPage = (page: Uint8Array): TdxRunPage => viewOf(tdxRunPageLayout, page);
export const viewSnpRunPage = (page: Uint8Array): SnpRunPage => viewOf(snpRunPageLayout, page);

/** Bits of `flags`. */
export const RunFlag = { Halted: 1 } as const;

/** Bits of `offloadFlags`. */
export const OffloadFlag = { IntrInject: 1 << 0, X2apic: 1 << 1, HaltOther: 1 << 5, HaltHlt: 1 << 6, HaltIdle: 1 << 7 } as const;

/** Nibbles of `enterMode`. */
export const EnterMode = { Fast: 0, PlayIdle: 1, IdleToVtl0: 2 } as const;

/** Bits of `updateDeadline`. */
export const UPDATE_DEADLINE = 1;

/** Bits of `stimer0Flags`. */
export const Stimer0Flag = { ConfigValid: 1, KernelUpdate: 2, Expired: 4 } as const;

/** Bits of `vpState.flags`. */
export const TdxVpStateFlag = { Wbinvd: 1, Wbnoinvd: 2 } as const;
