/** Virtual secure mode and virtual processors in the Hyper-V TLFS: hypercall inputs, register names, contexts (TLFS chapters 7, 15 and appendices). */
import { bytesAt, defineLayout, structAt, u16At, u32At, u64At, u8At } from './layout.js';

/** "This partition" in a hypercall input: all ones in both halves. */
export const HV_PARTITION_ID_SELF_HALF = -1;
/** "The calling VP" in a hypercall input. */
export const HV_VP_INDEX_SELF = 0xfffffffe;

/** HV_X64_SEGMENT_REGISTER. Attributes in VMX order without the unusable bit. */
export const hvSegmentRegisterLayout = defineLayout({
  name: 'HV_X64_SEGMENT_REGISTER',
  size: 16,
  fields: { base: u64At(0), limit: u32At(8), selector: u16At(12), attributes: u16At(14) },
});

/** HV_X64_TABLE_REGISTER. */
export const hvTableRegisterLayout = defineLayout({
  name: 'HV_X64_TABLE_REGISTER',
  size: 16,
  fields: { pad: bytesAt(0, 6), limit: u16At(6), base: u64At(8) },
});

/** HV_INITIAL_VP_CONTEXT for x64: what a VTL or a VP starts with. */
export const hvInitialVpContextLayout = defineLayout({
  name: 'HV_INITIAL_VP_CONTEXT',
  size: 224,
  fields: {
    rip: u64At(0),
    rsp: u64At(8),
    rflags: u64At(16),
    cs: structAt(24, hvSegmentRegisterLayout),
    ds: structAt(40, hvSegmentRegisterLayout),
    es: structAt(56, hvSegmentRegisterLayout),
    fs: structAt(72, hvSegmentRegisterLayout),
    gs: structAt(88, hvSegmentRegisterLayout),
    ss: structAt(104, hvSegmentRegisterLayout),
    tr: structAt(120, hvSegmentRegisterLayout),
    ldtr: structAt(136, hvSegmentRegisterLayout),
    idtr: structAt(152, hvTableRegisterLayout),
    gdtr: structAt(168, hvTableRegisterLayout),
    efer: u64At(184),
    cr0: u64At(192),
    cr3: u64At(200),
    cr4: u64At(208),
    pat: u64At(216),
  },
});

/** Input of HvCallEnablePartitionVtl. */
export const hvEnablePartitionVtlLayout = defineLayout({
  name: 'HV_INPUT_ENABLE_PARTITION_VTL',
  size: 16,
  fields: { partitionId: u64At(0), targetVtl: u8At(8), flags: u8At(9), reserved: bytesAt(10, 6) },
});
/** Bits of `flags`: mode-based execution control, supervisor shadow stack, hardware HVPT. */
export const EnablePartitionVtlFlag = { Mbec: 1, SupervisorShadowStack: 2, HardwareHvpt: 4 } as const;

/** Input of HvCallEnableVpVtl and of HvCallStartVirtualProcessor. */
export const hvVpVtlContextLayout = defineLayout({
  name: 'HV_INPUT_ENABLE_VP_VTL',
  size: 240,
  fields: { partitionId: u64At(0), vpIndex: u32At(8), targetVtl: u8At(12), reserved: bytesAt(13, 3), context: structAt(16, hvInitialVpContextLayout) },
});

/** Header of HvCallGetVpRegisters and HvCallSetVpRegisters. */
export const hvVpRegistersHeaderLayout = defineLayout({
  name: 'HV_INPUT_GET_VP_REGISTERS',
  size: 16,
  fields: { partitionId: u64At(0), vpIndex: u32At(8), inputVtl: u8At(12), reserved: bytesAt(13, 3) },
});
/** One element of HvCallSetVpRegisters. The value is 16 bytes, also where a register has fewer. */
export const hvRegisterAssocLayout = defineLayout({
  name: 'HV_REGISTER_ASSOC',
  size: 32,
  fields: { name: u32At(0), reserved: bytesAt(4, 12), value: bytesAt(16, 16) },
});

/** Header of HvCallGetVpIndexFromApicId. */
export const hvGetVpIndexFromApicIdLayout = defineLayout({
  name: 'HV_INPUT_GET_VP_INDEX_FROM_APIC_ID',
  size: 16,
  fields: { partitionId: u64At(0), targetVtl: u8At(8), reserved: bytesAt(9, 7) },
});

/** HV_INPUT_VTL: the VTL counts only with bit 4; bits 7:5 are reserved. */
export const InputVtl = { VtlMask: 0xf, UseTargetVtl: 1 << 4, Reserved: 0xe0 } as const;

/** Why a VTL was entered, in its VP assist page. */
export const HvVtlEntryReason = { VtlCall: 1, Interrupt: 2 } as const;

/** Names of the registers a guest may ask for by hypercall. Families go on from their first name. */
export const HvVpRegister = {
  PendingEvent0: 0x00010004,
  /** RAX RCX RDX RBX RSP RBP RSI RDI R8 .. R15. */
  Rax: 0x00020000,
  Rip: 0x00020010,
  Rflags: 0x00020011,
  Cr0: 0x00040000,
  Cr2: 0x00040001,
  Cr3: 0x00040002,
  Cr4: 0x00040003,
  Cr8: 0x00040004,
  /** ES CS SS DS FS GS LDTR TR. */
  Es: 0x00060000,
  Ldtr: 0x00060006,
  Idtr: 0x00070000,
  Gdtr: 0x00070001,
  Efer: 0x00080001,
  KernelGsBase: 0x00080002,
  ApicBase: 0x00080003,
  Pat: 0x00080004,
  SysenterCs: 0x00080005,
  SysenterEip: 0x00080006,
  SysenterEsp: 0x00080007,
  Star: 0x00080008,
  Lstar: 0x00080009,
  Cstar: 0x0008000a,
  Sfmask: 0x0008000b,
  TscAux: 0x0008007b,
  VpAssistPage: 0x00090013,
  /** SINT0 .. SINT15. */
  Sint0: 0x000a0000,
  /** SCONTROL, SVERSION, SIEFP, SIMP, EOM, in the order of their MSRs. */
  Scontrol: 0x000a0010,
  Eom: 0x000a0014,
  /** STIMER0_CONFIG, STIMER0_COUNT .. STIMER3_COUNT. */
  Stimer0Config: 0x000b0000,
  VsmCodePageOffsets: 0x000d0002,
  VsmVpStatus: 0x000d0003,
  VsmPartitionStatus: 0x000d0004,
  VsmVina: 0x000d0005,
  VsmCapabilities: 0x000d0006,
  VsmPartitionConfig: 0x000d0007,
  VsmVpSecureConfigVtl0: 0x000d0010,
} as const;

/** VsmCodePageOffsets: VTL call in bits 11:0, VTL return in 23:12. */
export const VSM_RETURN_OFFSET_SHIFT = 12;
/** VsmVina, low half: virtual interrupt notification assist (TLFS 15.12). */
export const VsmVina = { VectorMask: 0xff, Enabled: 1 << 8, AutoReset: 1 << 9, AutoEoi: 1 << 10 } as const;
/** VsmCapabilities, low half. */
export const VsmCapability = { Dr6Shared: 1 << 0, DenyLowerVtlStartup: 1 << 17 } as const;
/** VsmPartitionConfig, low half. */
export const VsmPartitionConfig = {
  EnableVtlProtection: 1 << 0,
  DefaultProtectionShift: 1,
  DefaultProtectionMask: 0xf << 1,
  ZeroMemoryOnReset: 1 << 5,
  DenyLowerVtlStartup: 1 << 6,
} as const;
/** HV_MAP_GPA_FLAGS as far as a default protection has them. */
export const MapGpaFlag = { Readable: 1, Writable: 2, KernelExecutable: 4, UserExecutable: 8 } as const;
/** VsmVpSecureConfigVtl0, low half. */
export const VsmSecureConfig = { MbecEnabled: 1 << 0, TlbLocked: 1 << 1, SupervisorShadowStack: 1 << 2, HardwareHvpt: 1 << 3 } as const;
/** PendingEvent0, low half: an exception event. The error code is bits 63:32. */
export const PendingEvent = {
  Pending: 1 << 0,
  TypeShift: 1,
  TypeMask: 7 << 1,
  TypeException: 0,
  DeliverErrorCode: 1 << 8,
  VectorShift: 16,
} as const;
