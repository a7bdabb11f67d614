/** Bits of the L2 VMCS controls that the backing writes or the module fixes (SDM volume 3, 25.6 and 25.8). */

/** Primary processor-based controls, 0x4002, beyond the windows named in hcl-protocol. */
export const PrimaryControl = {
  HltExiting: 1 << 7,
  InvlpgExiting: 1 << 9,
  MwaitExiting: 1 << 10,
  RdpmcExiting: 1 << 11,
  RdtscExiting: 1 << 12,
  Cr3LoadExiting: 1 << 15,
  Cr3StoreExiting: 1 << 16,
  /** CR8 and the task priority are in the virtual-APIC page. */
  TprShadow: 1 << 21,
  MovDrExiting: 1 << 23,
  UnconditionalIo: 1 << 24,
  UseMsrBitmaps: 1 << 28,
  MonitorExiting: 1 << 29,
  PauseExiting: 1 << 30,
  SecondaryControls: 1 << 31,
} as const;

/** Secondary processor-based controls, 0x401E. */
export const SecondaryControls = { Ept: 1 << 1, DescriptorTableExiting: 1 << 2, WbinvdExiting: 1 << 6 } as const;

/** VM-entry controls, 0x4012. */
export const EntryControl = { Ia32eModeGuest: 1 << 9, LoadPat: 1 << 14, LoadEfer: 1 << 15 } as const;

/** Control registers as the controls and masks see them. */
export const Cr0 = { Pe: 1 << 0, Mp: 1 << 1, Em: 1 << 2, Ts: 1 << 3, Ne: 1 << 5, Nw: 1 << 29, Cd: 1 << 30, Pg: 1 << 31 } as const;
export const Cr4 = { Pae: 1 << 5, Mce: 1 << 6, Vmxe: 1 << 13, Smxe: 1 << 14 } as const;
export const Efer = { Sce: 1 << 0, Lme: 1 << 8, Lma: 1 << 10, Nxe: 1 << 11 } as const;
