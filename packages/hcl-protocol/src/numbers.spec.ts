import { describe, expect, it } from 'vitest';
import { MSHV_IOCTL_TYPE, MshvCapability, MshvIoctl } from './ioctl.js';
import { EnterMode, OffloadFlag, RunFlag, Stimer0Flag, TdxVpStateFlag, tdxExitInfoLayout, tdxGuestStateLayout, tdxVpStateLayout } from './run-page.js';
import { EntryRcx, ExtendedExitQualification, L2Ctl, TdcallLeaf, TdxStatus } from './tdx.js';
import { HvMessageFlag, HvMessageType, HvMsr, Sint, StimerConfig } from './tlfs.js';
import { TMK_COMMAND_ADDRESS, TMK_DEFAULT_MEMORY_MIB, TMK_LOAD_ADDRESS, TmkCommandTag, TmkTestFlag, tmkCompleteLayout, tmkLogLayout, tmkStartInputLayout } from './tmk.js';
import { EventInject, EventInjectType, SevFeature, SvmExit, SvmIoInfo, SvmNpfInfo, VIntr, VmsaSelector, vmsaSelectorLayout } from './vmsa.js';
import { Interruptibility, InterruptionInfo, InterruptionType, IoQualification, ProcessorControl, SecondaryControl, VmcsField, VmxExit, VmxExitReason } from './vmx.js';

const offsets = (layout: { readonly fields: Readonly<Record<string, { readonly offset: number }>> }) => Object.fromEntries(Object.entries(layout.fields).map(([name, { offset }]) => [name, offset]));

describe('numbers of the ioctl line (mshv_vtl)', () => {
  it('ioctls have type 0xb8 and the driver’s numbers', () => {
    expect(MSHV_IOCTL_TYPE).toBe(0xb8);
    expect(MshvIoctl).toEqual({
      CheckExtension: 0x00,
      GetVpRegisters: 0x05,
      SetVpRegisters: 0x06,
      CreateVtl: 0x1d,
      HvcallSetup: 0x1e,
      Hvcall: 0x1f,
      SetPollFile: 0x25,
      ReturnToLowerVtl: 0x27,
      Pvalidate: 0x28,
      Rmpadjust: 0x29,
      Tdcall: 0x32,
    });
  });

  it('capability 4 is timer virtualization for lower VTLs (PR 2483)', () => {
    expect(MshvCapability).toEqual({ RegisterPage: 1, VtlReturnAction: 2, Dr6Shared: 3, LowerVtlTimerVirt: 4 });
  });

  it('flags of the run page and of its contexts', () => {
    expect(RunFlag).toEqual({ Halted: 1 });
    expect(OffloadFlag).toEqual({ IntrInject: 0x01, X2apic: 0x02, HaltOther: 0x20, HaltHlt: 0x40, HaltIdle: 0x80 });
    expect(EnterMode).toEqual({ Fast: 0, PlayIdle: 1, IdleToVtl0: 2 });
    expect(Stimer0Flag).toEqual({ ConfigValid: 1, KernelUpdate: 2, Expired: 4 });
    expect(TdxVpStateFlag).toEqual({ Wbinvd: 1, Wbnoinvd: 2 });
  });
});

describe('numbers of the TDX module (TDX module ABI; SDM volume 3)', () => {
  it('exit information, private registers and guest state are eight bytes apart in their order, RVI and SVI a byte each', () => {
    expect(offsets(tdxExitInfoLayout)).toEqual({ rax: 0, rcx: 8, rdx: 16, rsi: 24, rdi: 32, r8: 40, r9: 48, r10: 56, r11: 64, r12: 72, r13: 80 });
    expect(offsets(tdxVpStateLayout)).toEqual({ msrKernelGsBase: 0, msrStar: 8, msrLstar: 16, msrSfmask: 24, msrXss: 32, cr2: 40, msrTscAux: 48, flags: 56 });
    expect(offsets(tdxGuestStateLayout)).toEqual({ gpr: 0, rflags: 128, rip: 136, ssp: 144, rvi: 152, svi: 153, reserved: 154 });
  });

  it('TDCALL leaves and status codes', () => {
    expect(TdcallLeaf).toEqual({ VpVmcall: 0, VpInfo: 1, VmRd: 7, VmWr: 8, VpRd: 9, VpWr: 10, VpEnter: 25, VpInvgla: 27 });
    expect(TdxStatus).toEqual({
      Success: 0,
      L2ExitHostRoutedAsync: 0x1100,
      L2ExitHostRoutedTdvmcall: 0x1101,
      L2ExitPendingInterrupt: 0x1102,
      PendingInterrupt: 0x1120,
      OperandInvalid: 0xc0000100,
      MetadataFieldIdIncorrect: 0xc0000c00,
    });
    expect([EntryRcx, L2Ctl, ExtendedExitQualification]).toEqual([{ HighVmShift: 20, HighVmMask: 0x300000 }, { EnableSharedEpt: 1, EnableTdvmcall: 2 }, { PendingEptViolation: 6 }]);
  });

  it('basic exit reasons, timer expired 52 among them', () => {
    expect(Object.values(VmxExit)).toEqual([0, 1, 2, 6, 7, 8, 10, 12, 18, 28, 30, 31, 32, 33, 40, 43, 45, 46, 47, 48, 52, 54, 55, 56, 77]);
    expect(VmxExit.TimerExpired).toBe(0x34);
    expect([VmxExitReason.BasicMask, VmxExitReason.BusLock, VmxExitReason.EntryFailed >>> 0]).toEqual([0xffff, 1 << 26, 2 ** 31]);
  });

  it('bits of interruption information, I/O qualification, controls and interruptibility', () => {
    expect([InterruptionInfo.VectorMask, InterruptionInfo.TypeShift, InterruptionInfo.ErrorCodeValid, InterruptionInfo.Valid >>> 0]).toEqual([0xff, 8, 1 << 11, 2 ** 31]);
    expect(InterruptionType).toMatchObject({ External: 0, Nmi: 2, Exception: 3, SoftwareInterrupt: 4, SoftwareException: 6 });
    expect(IoQualification).toEqual({ SizeMask: 7, In: 8, String: 16, Rep: 32, PortShift: 16 });
    expect([ProcessorControl, SecondaryControl, Interruptibility]).toEqual([
      { InterruptWindow: 1 << 2, NmiWindow: 1 << 22 },
      { VirtualInterruptDelivery: 1 << 9 },
      { BlockedBySti: 1, BlockedByMovSs: 2, BlockedByNmi: 8 },
    ]);
  });

  it('encodings of the L2 VMCS fields that the paravisor uses', () => {
    expect(VmcsField).toMatchObject({
      ProcessorControls: 0x4002,
      ExceptionBitmap: 0x4004,
      EntryControls: 0x4012,
      EntryInterruptInfo: 0x4016,
      EntryExceptionErrorCode: 0x4018,
      TprThreshold: 0x401c,
      SecondaryControls: 0x401e,
      VirtualApicPage: 0x2012,
      EoiExitBitmap0: 0x201c,
      EoiExitBitmap3: 0x2022,
      Interruptibility: 0x4824,
      Cr0: 0x6800,
      Cr3: 0x6802,
      Cr4: 0x6804,
      Cr0Mask: 0x6000,
      Cr4Mask: 0x6002,
      Cr0Shadow: 0x6004,
      Cr4Shadow: 0x6006,
      GuestEfer: 0x2806,
      GuestPat: 0x2804,
      Dr7: 0x681a,
    });
  });
});

describe('numbers of the VMSA (APM appendix B and C)', () => {
  it('selectors, features, virtual interrupt control and event injection', () => {
    expect(offsets(vmsaSelectorLayout)).toEqual({ selector: 0, attributes: 2, limit: 4, base: 8 });
    expect(Object.keys(VmsaSelector)).toEqual(['Es', 'Cs', 'Ss', 'Ds', 'Fs', 'Gs', 'Gdtr', 'Ldtr', 'Idtr', 'Tr']);
    expect(SevFeature).toEqual({ Snp: 1, Vtom: 2, ReflectVc: 4, RestrictedInjection: 8, AlternateInjection: 16, DebugSwap: 32, SecureAvic: 0x10000 });
    const { HighGuestBusy, ...low } = VIntr;
    expect(low).toEqual({
      TprMask: 0xff,
      Irq: 1 << 8,
      Gif: 1 << 9,
      Shadow: 1 << 10,
      Nmi: 1 << 11,
      NmiMask: 1 << 12,
      PriorityShift: 16,
      PriorityMask: 0xf0000,
      IgnoreTpr: 1 << 20,
      NmiEnable: 1 << 26,
      HighVectorMask: 0xff,
    });
    expect(HighGuestBusy >>> 0, 'guest busy is bit 63').toBe(2 ** 31);
    expect([EventInject.VectorMask, EventInject.TypeShift, EventInject.ErrorCodeValid, EventInject.Valid >>> 0]).toEqual([0xff, 8, 1 << 11, 2 ** 31]);
    expect(EventInjectType).toEqual({ External: 0, Nmi: 2, Exception: 3, Software: 4 });
  });

  it('exit codes and the bits of their information', () => {
    const { BusLock, ...handled } = SvmExit;
    expect(Object.values(handled)).toEqual([0x60, 0x61, 0x62, 0x64, 0x6f, 0x72, 0x76, 0x77, 0x78, 0x7b, 0x7c, 0x7f, 0x81, 0x89, 0x8d, 0xa6, 0x400, 0x401, 0x402, 0x403]);
    expect(BusLock).toBe(0xa5);
    expect(SvmIoInfo).toEqual({ In: 1, String: 4, Rep: 8, Size8: 16, Size16: 32, Size32: 64, PortShift: 16 });
    expect(SvmNpfInfo.Write).toBe(2);
  });
});

describe('numbers of the TLFS', () => {
  it('synthetic MSRs', () => {
    expect(HvMsr).toMatchObject({
      GuestOsId: 0x40000000,
      Hypercall: 0x40000001,
      VpIndex: 0x40000002,
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
    });
  });

  it('bits of timers and SINTs, and the message of a timer that expired; a proxied SINT is bit 20', () => {
    expect(StimerConfig).toEqual({
      Enabled: 1,
      Periodic: 2,
      Lazy: 4,
      AutoEnable: 8,
      ApicVectorShift: 4,
      ApicVectorMask: 0xff0,
      DirectMode: 0x1000,
      SintShift: 16,
      SintMask: 0xf0000,
    });
    expect(Sint).toEqual({ VectorMask: 0xff, Masked: 0x10000, AutoEoi: 0x20000, Polling: 0x40000, Proxy: 0x100000 });
    expect([HvMessageType.TimerExpired, HvMessageFlag.Pending]).toEqual([0x80000010, 1]);
  });
});

describe('numbers of the test microkernel protocol (tmk_protocol)', () => {
  it('load address, command address, 4 MiB of RAM, start input, flags and commands', () => {
    expect([TMK_LOAD_ADDRESS, TMK_COMMAND_ADDRESS, TMK_DEFAULT_MEMORY_MIB]).toEqual([0x200000, 0xffff0000, 4]);
    expect(offsets(tmkStartInputLayout)).toEqual({ command: 0, testIndex: 8 });
    expect([TmkTestFlag, TmkCommandTag]).toEqual([{ ExpectedFailure: 1, LinuxHostOnly: 2 }, { Log: 0, Panic: 1, Complete: 2 }]);
    expect([offsets(tmkLogLayout)['address'], offsets(tmkLogLayout)['length'], offsets(tmkCompleteLayout)['success']]).toEqual([8, 16, 4]);
  });
});
