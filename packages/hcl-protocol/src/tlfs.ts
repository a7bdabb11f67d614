/** Hyper-V Top Level Functional Specification: synthetic MSRs, timers, messages, CPUID leaves, VP registers. */
import { bytesAt, defineLayout, u16At, u32At, u64At, u8At, viewOf } from './layout.js';
import type { View } from './layout.js';

/** Synthetic MSRs. */
export const HvMsr = {
  GuestOsId: 0x40000000,
  Hypercall: 0x40000001,
  VpIndex: 0x40000002,
  Reset: 0x40000003,
  TimeRefCount: 0x40000020,
  ReferenceTsc: 0x40000021,
  TscFrequency: 0x40000022,
  ApicFrequency: 0x40000023,
  Eoi: 0x40000070,
  Icr: 0x40000071,
  Tpr: 0x40000072,
  VpAssistPage: 0x40000073,
  Scontrol: 0x40000080,
  Sversion: 0x40000081,
  Siefp: 0x40000082,
  Simp: 0x40000083,
  Eom: 0x40000084,
  Sint0: 0x40000090,
  Stimer0Config: 0x400000b0,
  Stimer0Count: 0x400000b1,
  GuestIdle: 0x400000f0,
  /** Five, one behind the other. */
  GuestCrashParameter0: 0x40000100,
  GuestCrashControl: 0x40000105,
} as const;

export const SINT_COUNT = 16;
export const STIMER_COUNT = 4;

/** Synthetic timer configuration, low half unless named (TLFS "Synthetic Timer Configuration Register"). */
export const StimerConfig = {
  Enabled: 1 << 0,
  Periodic: 1 << 1,
  Lazy: 1 << 2,
  AutoEnable: 1 << 3,
  ApicVectorShift: 4,
  ApicVectorMask: 0xff << 4,
  DirectMode: 1 << 12,
  SintShift: 16,
  SintMask: 0xf << 16,
} as const;

/** SINTn, low half. Bit 20 is openvmm's proxy bit. */
export const Sint = { VectorMask: 0xff, Masked: 1 << 16, AutoEoi: 1 << 17, Polling: 1 << 18, Proxy: 1 << 20 } as const;
/** SCONTROL, SIMP, SIEFP, hypercall and assist page registers: enable bit. */
export const REGISTER_ENABLE = 1;

/** A 256-byte message slot of the SIMP page. */
export const hvMessageLayout = defineLayout({
  name: 'HV_MESSAGE',
  size: 256,
  fields: { type: u32At(0), payloadSize: u8At(4), flags: u8At(5), reserved: u16At(6), sender: u64At(8), payload: bytesAt(16, 240) },
});
export type HvMessage = View<(typeof hvMessageLayout)['fields']>;
export const viewHvMessage = (bytes: Uint8Array, offset = 0): HvMessage => viewOf(hvMessageLayout, bytes, offset);
export const HvMessageType = { None: 0, TimerExpired: 0x80000010, GpaIntercept: 0x80000001, UnmappedGpa: 0x80000000 } as const;
export const HvMessageFlag = { Pending: 1 } as const;

/** Payload of a timer-expired message. */
export const hvTimerMessagePayloadLayout = defineLayout({
  name: 'HV_TIMER_MESSAGE_PAYLOAD',
  size: 24,
  fields: { timerIndex: u32At(0), reserved: u32At(4), expirationTime: u64At(8), deliveryTime: u64At(16) },
});

/** The reference TSC page. */
export const hvReferenceTscPageLayout = defineLayout({
  name: 'HV_REFERENCE_TSC_PAGE',
  size: 4096,
  fields: { sequence: u32At(0), reserved: u32At(4), scale: u64At(8), offset: u64At(16), reserved2: bytesAt(24, 4072) },
});

/** The VP assist page (TLFS "HV_VP_ASSIST_PAGE"), as far as a guest without nested virtualization uses it. */
export const hvVpAssistPageLayout = defineLayout({
  name: 'HV_VP_ASSIST_PAGE',
  size: 4096,
  fields: {
    apicAssist: u32At(0),
    reserved: u32At(4),
    vtlEntryReason: u32At(8),
    vinaAsserted: u8At(12),
    reserved2: bytesAt(13, 3),
    vtlReturnRax: u64At(16),
    vtlReturnRcx: u64At(24),
    nested: bytesAt(32, 4064),
  },
});

/** Hypervisor CPUID leaves. */
export const HvCpuid = {
  VendorAndMax: 0x40000000,
  Interface: 0x40000001,
  Version: 0x40000002,
  Features: 0x40000003,
  Enlightenments: 0x40000004,
  ImplementationLimits: 0x40000005,
  IsolationConfiguration: 0x4000000c,
} as const;

/** Partition isolation types, EBX low nibble of leaf 0x4000000C. */
export const HvIsolationType = { None: 0, Vbs: 1, Snp: 2, Tdx: 3 } as const;

/** Hyper-V VP register names VTL2 may ask of its host. */
export const HvRegister = {
  VpIndex: 0x00090003,
  TimeRefCount: 0x00090004,
  /** XCR0. */
  Xfem: 0x00040005,
} as const;

/** Hypercall status codes. */
export const HvStatus = {
  Success: 0,
  InvalidHypercallCode: 2,
  InvalidHypercallInput: 3,
  InvalidAlignment: 4,
  InvalidParameter: 5,
  AccessDenied: 6,
  OperationDenied: 8,
  InsufficientMemory: 0xb,
  InvalidPartitionId: 0xd,
  InvalidVpIndex: 0xe,
  InvalidPortId: 0x11,
  InvalidConnectionId: 0x12,
  InsufficientBuffers: 0x13,
  InvalidVpState: 0x15,
  InvalidSynicState: 0x18,
  ObjectInUse: 0x19,
  InvalidRegisterValue: 0x50,
  InvalidVtlState: 0x51,
  VtlAlreadyEnabled: 0x86,
  Timeout: 0x78,
} as const;

/** Reference-time units (100 ns) a second. */
export const REFERENCE_HZ = 10_000_000;
