/** VMX numbers (Intel SDM volume 3, chapters 25 to 28 and appendices B and C) as a TDX paravisor meets them. */

/** Basic exit reasons the paravisor handles, 45 where an I/O APIC listens, 56 where an option says so; any other ends the VP. Open: a number with named cases. */
export const VmxExit = {
  Exception: 0,
  ExternalInterrupt: 1,
  TripleFault: 2,
  Smi: 6,
  InterruptWindow: 7,
  NmiWindow: 8,
  Cpuid: 10,
  Hlt: 12,
  Vmcall: 18,
  CrAccess: 28,
  Io: 30,
  MsrRead: 31,
  MsrWrite: 32,
  BadGuestState: 33,
  Pause: 40,
  TprBelowThreshold: 43,
  /** Virtual-interrupt delivery ended an interrupt whose vector is in the EOI-exit bitmap; the qualification is the vector. */
  VirtualizedEoi: 45,
  GdtrIdtr: 46,
  LdtrTr: 47,
  EptViolation: 48,
  /** VMX-preemption timer: the L2 TSC deadline came. */
  TimerExpired: 52,
  Wbinvd: 54,
  Xsetbv: 55,
  /** A write to the virtual-APIC page that is left to software: a self-IPI with a vector below 16. Trap-like. */
  ApicWrite: 56,
  Tdcall: 77,
} as const;

/** Bits of the exit reason above the basic reason. */
export const VmxExitReason = { BasicMask: 0xffff, BusLock: 1 << 26, EntryFailed: 1 << 31 } as const;

/** Interruption information, for entry, exit and IDT vectoring (SDM 25.8.3). */
export const InterruptionInfo = { VectorMask: 0xff, TypeShift: 8, TypeMask: 7 << 8, ErrorCodeValid: 1 << 11, Valid: 1 << 31 } as const;
export const InterruptionType = { External: 0, Nmi: 2, Exception: 3, SoftwareInterrupt: 4, PrivilegedSoftware: 5, SoftwareException: 6 } as const;

/** I/O exit qualification (SDM 28.2.1): size code 2:0 (0, 1, 3), direction, string, rep, port. */
export const IoQualification = { SizeMask: 7, In: 1 << 3, String: 1 << 4, Rep: 1 << 5, PortShift: 16 } as const;

/** EPT-violation qualification (SDM table 28-7). */
export const EptQualification = {
  Read: 1,
  Write: 2,
  Execute: 4,
  EptReadable: 8,
  EptWritable: 16,
  EptExecutable: 32,
  LinearValid: 128,
  /** Clear: the access was the guest's page walk. */
  Translated: 256,
} as const;

/** CR-access qualification (SDM table 28-3): register 3:0, access type 5:4, LMSW operand 6, general register 11:8, source 31:16. */
export const CrQualification = { CrMask: 0xf, TypeShift: 4, TypeMov: 0, TypeMovFrom: 1, TypeClts: 2, TypeLmsw: 3, RegisterShift: 8, SourceShift: 16 } as const;

/** VMCS field encodings of the L2 VMCS fields used. */
export const VmcsField = {
  ProcessorControls: 0x4002,
  ExceptionBitmap: 0x4004,
  EntryControls: 0x4012,
  EntryInterruptInfo: 0x4016,
  EntryExceptionErrorCode: 0x4018,
  EntryInstructionLength: 0x401a,
  TprThreshold: 0x401c,
  SecondaryControls: 0x401e,
  VirtualApicPage: 0x2012,
  EoiExitBitmap0: 0x201c,
  EoiExitBitmap1: 0x201e,
  EoiExitBitmap2: 0x2020,
  EoiExitBitmap3: 0x2022,
  GuestPat: 0x2804,
  GuestEfer: 0x2806,
  EsSelector: 0x0800,
  CsSelector: 0x0802,
  SsSelector: 0x0804,
  DsSelector: 0x0806,
  FsSelector: 0x0808,
  GsSelector: 0x080a,
  LdtrSelector: 0x080c,
  TrSelector: 0x080e,
  EsLimit: 0x4800,
  CsLimit: 0x4802,
  SsLimit: 0x4804,
  DsLimit: 0x4806,
  FsLimit: 0x4808,
  GsLimit: 0x480a,
  LdtrLimit: 0x480c,
  TrLimit: 0x480e,
  GdtrLimit: 0x4810,
  IdtrLimit: 0x4812,
  EsAccessRights: 0x4814,
  CsAccessRights: 0x4816,
  SsAccessRights: 0x4818,
  DsAccessRights: 0x481a,
  FsAccessRights: 0x481c,
  GsAccessRights: 0x481e,
  LdtrAccessRights: 0x4820,
  TrAccessRights: 0x4822,
  Interruptibility: 0x4824,
  SysenterCs: 0x482a,
  Cr0Mask: 0x6000,
  Cr4Mask: 0x6002,
  Cr0Shadow: 0x6004,
  Cr4Shadow: 0x6006,
  Cr0: 0x6800,
  Cr3: 0x6802,
  Cr4: 0x6804,
  EsBase: 0x6806,
  CsBase: 0x6808,
  SsBase: 0x680a,
  DsBase: 0x680c,
  FsBase: 0x680e,
  GsBase: 0x6810,
  LdtrBase: 0x6812,
  TrBase: 0x6814,
  GdtrBase: 0x6816,
  IdtrBase: 0x6818,
  Dr7: 0x681a,
  SysenterEsp: 0x6824,
  SysenterEip: 0x6826,
} as const;

export const ProcessorControl = { InterruptWindow: 1 << 2, NmiWindow: 1 << 22 } as const;
export const SecondaryControl = { VirtualInterruptDelivery: 1 << 9 } as const;
export const Interruptibility = { BlockedBySti: 1, BlockedByMovSs: 2, BlockedByNmi: 8 } as const;
