import { InterruptionInfo, IoQualification, TdcallLeaf, TdxStatus, TdxVpStateFlag, U64, VmcsField, VmxExit, VmxExitReason } from '@paravisor/hcl-protocol';
import { EmulationStatus, MsrStatus } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { ScriptedTdxVp } from '../../test/scripted-vp.js';
import type { ScriptedExit } from '../../test/scripted-vp.js';

const Gpr = { rax: 0, rcx: 1, rdx: 2, rbx: 3, r10: 10 } as const;
type Registers = Partial<Record<keyof typeof Gpr, bigint>>;
const EXCEPTION = 3 << InterruptionInfo.TypeShift;
const GENERAL_PROTECTION = BigInt((InterruptionInfo.Valid | InterruptionInfo.ErrorCodeValid | EXCEPTION | 13) >>> 0);
const OSXSAVE = 0x40020n;

function start(registers: Registers = {}): ScriptedTdxVp {
  const scripted = new ScriptedTdxVp();
  for (const [name, value] of Object.entries(registers)) scripted.setGpr(Gpr[name as keyof typeof Gpr], value);
  return scripted;
}

/** A VP after one exit. */
function after(reason: number, registers: Registers = {}, exit: ScriptedExit = {}): ScriptedTdxVp {
  const scripted = start(registers);
  scripted.exit(reason, exit);
  return scripted;
}

/** What the next entry injects. */
function injection(scripted: ScriptedTdxVp): bigint {
  scripted.vp.beforeRun(0, false);
  return scripted.hcl.vmcs(VmcsField.EntryInterruptInfo);
}

describe('exits that finish an instruction: RIP goes over it by r11’s high half', () => {
  it('CPUID asks for EAX and ECX, and zero-extends its results', () => {
    const scripted = after(VmxExit.Cpuid, { rax: 0xffffffff_00000007n, rcx: 0xffffffff_00000002n, rdx: 0xffffffff_00000000n });
    expect(scripted.takeLog()).toEqual(['cpuid 7.2']);
    expect([Gpr.rax, Gpr.rbx, Gpr.rcx, Gpr.rdx].map((index) => scripted.gpr(index))).toEqual([1n, 2n, 3n, 0xffff_ffffn]);
    expect(scripted.advanced).toBe(2);
  });

  it('a single step over one is lost: nothing is injected, and the flags keep TF (openvmm `advance_to_next_instruction`)', () => {
    const scripted = start();
    scripted.vp.registers(0).writeRflags(0x102);
    scripted.exit(VmxExit.Cpuid);
    expect([scripted.advanced, scripted.vp.registers(0).readRflags(), injection(scripted) & BigInt(InterruptionInfo.Valid >>> 0)]).toEqual([2, 0x102, 0n]);
  });

  it('RDMSR splits its value over EDX:EAX; an MSR number is 32 bits without a sign', () => {
    const scripted = after(VmxExit.MsrRead, { rcx: 0xffffffff_c0010000n });
    expect(scripted.takeLog()).toEqual(['rdmsr c0010000']);
    expect([scripted.gpr(Gpr.rax), scripted.gpr(Gpr.rdx)]).toEqual([0x8000_0070n, 0xffff_fffen]);
    expect(scripted.advanced).toBe(2);
  });

  it('WRMSR joins EDX:EAX and drops their upper halves', () => {
    const scripted = after(VmxExit.MsrWrite, { rax: 0x11111111_80000001n, rcx: 0x400000b1n, rdx: 0x22222222_fffffffen });
    expect(scripted.takeLog()).toEqual(['wrmsr 400000b1 0xfffffffe80000001']);
    expect(scripted.advanced).toBe(2);
  });

  it.each([VmxExit.MsrRead, VmxExit.MsrWrite])('a refused MSR access (reason %d) is #GP(0) at the instruction, and changes no register', (reason) => {
    const scripted = start({ rax: 5n, rdx: 6n });
    scripted.handlers.msrStatus = MsrStatus.GeneralProtection;
    scripted.exit(reason);
    expect([scripted.advanced, scripted.gpr(Gpr.rax), scripted.gpr(Gpr.rdx)]).toEqual([0, 5n, 6n]);
    expect(injection(scripted)).toBe(GENERAL_PROTECTION);
    expect(scripted.hcl.vmcs(VmcsField.EntryExceptionErrorCode)).toBe(0n);
  });

  it.each([
    ['al', 0, 0x1111_2222_3333_44d4n],
    ['ax', 1, 0x1111_2222_3333_c3d4n],
    ['eax', 3, 0xa1b2_c3d4n],
  ])('IN to %s merges into RAX as the manual says', (_name, size, expected) => {
    const scripted = after(VmxExit.Io, { rax: 0x1111_2222_3333_4444n }, { qualification: size | IoQualification.In | (0x3f8 << IoQualification.PortShift), length: 1 });
    expect(scripted.takeLog()).toEqual([`in 3f8/${size + 1}`]);
    expect(scripted.gpr(Gpr.rax)).toBe(expected);
    expect(scripted.advanced).toBe(1);
  });

  it.each([
    [0, 'bb'],
    [1, 'aabb'],
    [3, '8899aabb'],
  ])('OUT of size code %d writes the low bytes of RAX; port 0xffff is not negative', (size, value) => {
    const scripted = after(VmxExit.Io, { rax: 0x8899aabbn }, { qualification: size | (0xffff << IoQualification.PortShift) });
    expect(scripted.takeLog()).toEqual([`out ffff/${size + 1} ${value}`]);
  });

  it.each([IoQualification.String, IoQualification.Rep, IoQualification.String | IoQualification.Rep])('string or REP port I/O (bits %d) is emulated, and the emulator moves RIP', (form) => {
    const scripted = after(VmxExit.Io, {}, { qualification: form | (0x80 << IoQualification.PortShift) });
    expect(scripted.takeLog()).toEqual(['string io']);
    expect(scripted.advanced).toBe(0);
  });

  it('HLT halts the VTL, RIP behind it', () => {
    const scripted = after(VmxExit.Hlt, {}, { length: 1 });
    expect(scripted.takeLog()).toEqual(['halt 0']);
    expect(scripted.advanced).toBe(1);
  });

  it('VMCALL is a hypercall in ring 0; above it #GP, where TLFS has #UD (openvmm)', () => {
    const kernel = after(VmxExit.Vmcall, {}, { length: 3 });
    expect([kernel.takeLog(), kernel.advanced]).toEqual([['hypercall'], 3]);
    const user = after(VmxExit.Vmcall, {}, { length: 3, cpl: 3 });
    expect([user.takeLog(), user.advanced]).toEqual([[], 0]);
    expect(injection(user)).toBe(GENERAL_PROTECTION);
  });

  it('WBINVD and WBNOINVD, told by the qualification, are left to the kernel by a flag of the next entry', () => {
    for (const [qualification, flag] of [[0, TdxVpStateFlag.Wbinvd], [1, TdxVpStateFlag.Wbnoinvd]] as const) {
      const scripted = after(VmxExit.Wbinvd, {}, { qualification });
      expect(scripted.advanced).toBe(2);
      scripted.vp.beforeRun(0, false);
      expect(scripted.page.context.vpState.flags.lo).toBe(flag);
    }
  });

  it('XSETBV of XCR 0 in ring 0 with CR4.OSXSAVE is written by the kernel; what that refuses, and the rest, is #GP', () => {
    const attempt = (value: bigint, { rcx = 0n, rdx = 0n, cpl = 0, cr4 = OSXSAVE } = {}): number => {
      const scripted = start({ rax: value, rcx, rdx });
      scripted.hcl.setVmcs(VmcsField.Cr4, cr4);
      scripted.round();
      scripted.exit(VmxExit.Xsetbv, { length: 3, cpl });
      return scripted.advanced;
    };
    expect([attempt(1n), attempt(3n)]).toEqual([3, 3]);
    for (const refused of [attempt(0n), attempt(2n), attempt(7n), attempt(1n, { rcx: 1n }), attempt(1n, { rdx: 1n }), attempt(1n, { cpl: 3 }), attempt(1n, { cr4: 0x20n })]) expect(refused).toBe(0);
  });

  it('TDG.VP.VMCALL of a lower VTL is an invalid operand, every other leaf refused by the module’s status', () => {
    const vmcall = after(VmxExit.Tdcall, { rax: BigInt(TdcallLeaf.VpVmcall), r10: 0n }, { length: 4 });
    expect([vmcall.gpr(Gpr.rax), vmcall.gpr(Gpr.r10), vmcall.advanced]).toEqual([0n, 0x8000_0000_0000_0000n, 4]);
    const other = after(VmxExit.Tdcall, { rax: BigInt(TdcallLeaf.VpWr), r10: 0n }, { length: 4 });
    expect([other.gpr(Gpr.rax), other.gpr(Gpr.r10)]).toEqual([BigInt(TdxStatus.OperandInvalid) << 32n, 0n]);
  });
});

describe('moves to control registers', () => {
  const qualification = (register: number, type: number, gpr = 0, source = 0) => register | (type << 4) | (gpr << 8) | (source << 16);
  const CR0 = 0x8000_0011n;
  const CR4 = 0x20n;
  /** A MOV to a control register from RAX: [RIP moved, what the guest then reads]. */
  function write(register: 0 | 4, value: bigint): readonly [boolean, bigint] {
    const scripted = after(VmxExit.CrAccess, { rax: value }, { qualification: qualification(register, 0), length: 3 });
    const read = new U64();
    scripted.vp.registers(0).readCr(register, read);
    return [scripted.advanced === 3, read.toBigInt()];
  }

  it.each([
    ['NE', 0x8000_0031n],
    ['CD', 0xc000_0011n],
    ['CD and NW', 0xe000_0011n],
  ])('CR0 takes %s, and the VMCS keeps NE', (_name, value) => {
    expect(write(0, value)).toEqual([true, value]);
  });

  it('reserved bits of CR0 are ignored, and ET reads one (SDM volume 3, 2.5)', () => {
    expect(write(0, 0x8000_0001n | 0x0ff2_ffc0n)).toEqual([true, 0x8000_0011n]);
  });

  it.each([
    ['NW without CD', 0xa000_0011n],
    ['PG without PE', 0x8000_0010n],
    ['paging switched off by 64-bit code', 0x11n],
    ['bits above 31', 0x1_8000_0011n],
  ])('CR0 refuses %s with #GP', (_name, value) => {
    expect(write(0, value)[0]).toBe(false);
  });

  it.each([
    ['VMXE', CR4 | 0x2000n],
    ['SMXE', CR4 | 0x4000n],
    ['PAE off in long mode', 0x40n],
    ['LA57, which CPUID does not offer', CR4 | 0x1000n],
    ['PKE, which CPUID does not offer', CR4 | 0x400000n],
    ['bits above 31', CR4 | (1n << 32n)],
  ])('CR4 refuses %s with #GP', (_name, value) => {
    expect(write(4, value)).toEqual([false, CR4]);
  });

  it('CR4 takes UMIP and PCIDE, which CPUID offers', () => {
    expect(write(4, CR4 | 0x20800n)).toEqual([true, CR4 | 0x20800n]);
  });

  it('CR4.MCE is the guest’s to see', () => {
    expect(write(4, CR4 | 0x40n)).toEqual([true, CR4 | 0x40n]);
    expect(write(4, CR4)).toEqual([true, CR4]);
  });

  it('LMSW writes the low four bits, and cannot clear PE (SDM volume 2)', () => {
    const scripted = after(VmxExit.CrAccess, {}, { qualification: qualification(0, 3, 0, 0xfffe), length: 3 });
    const cr0 = new U64();
    scripted.vp.registers(0).readCr(0, cr0);
    expect([scripted.advanced, cr0.toBigInt()]).toEqual([3, CR0 | 0xen]);
  });

  it.each([
    ['a MOV from CR0', qualification(0, 1)],
    ['a MOV to CR3', qualification(3, 0)],
    ['CLTS', qualification(0, 2)],
  ])('%s, which no control asks for, ends the VP', (_name, value) => {
    const scripted = after(VmxExit.CrAccess, {}, { qualification: value });
    expect(scripted.takeLog()).toEqual([`fatal a control-register access exited that this backing never asks for, qualification 0x${value.toString(16)}`]);
  });

  it.each([
    ['NXE and SCE', 0xd01n, true],
    ['LMA off: it is the processor’s', 0x901n, true],
    ['LME off under paging', 0x801n, false],
    ['SVME, which Intel does not have', 0x1d01n, false],
    ['bits above 31', 0x1_0000_0d01n, false],
  ])('EFER: %s', (_name, value, taken) => {
    const scripted = after(VmxExit.MsrWrite, { rax: value & 0xffffffffn, rdx: value >> 32n, rcx: 0xc0000080n });
    expect([scripted.takeLog(), scripted.advanced]).toEqual([[], taken ? 2 : 0]);
    expect(scripted.hcl.vmcs(VmcsField.GuestEfer)).toBe(0xd01n);
  });
});

describe('an EPT violation', () => {
  it('is emulated at exit_info.r8, and the emulator moves RIP', () => {
    const scripted = after(VmxExit.EptViolation, {}, { gpa: 0xffff_fee0_0080n });
    expect(scripted.takeLog()).toEqual(['mmio fffffee00080']);
    expect(scripted.advanced).toBe(0);
  });

  it('whose emulation faulted injects what the emulator asked for', () => {
    const scripted = start();
    scripted.handlers.emulation = EmulationStatus.Faulted;
    scripted.handlers.emulateMmio = () => {
      scripted.vp.injectException(0, 14, 2);
      return EmulationStatus.Faulted;
    };
    scripted.exit(VmxExit.EptViolation, { gpa: 0xfee0_0000n });
    expect(injection(scripted) & 0xffn).toBe(14n);
    expect(scripted.hcl.vmcs(VmcsField.EntryExceptionErrorCode)).toBe(2n);
  });

  it('during the delivery of an event belongs to no instruction, and ends the VP (openvmm, "interruption pending")', () => {
    const scripted = after(VmxExit.EptViolation, {}, { gpa: 0xfee0_0050n, idtVectoring: [InterruptionInfo.Valid | 0x50, 0] });
    expect(scripted.takeLog()).toEqual(['fatal the delivery of vector 80 accessed a device at 0xfee00050']);
  });
});

describe('exits that only count', () => {
  it.each(['Exception', 'ExternalInterrupt', 'Smi', 'InterruptWindow', 'NmiWindow', 'TprBelowThreshold', 'TimerExpired', 'Pause'] as const)('%s asks for nothing and leaves RIP', (name) => {
    const scripted = after(VmxExit[name], {}, { interruption: [InterruptionInfo.Valid | EXCEPTION | 6, 0] });
    expect(scripted.takeLog()).toEqual([]);
    expect(scripted.advanced).toBe(0);
    expect(injection(scripted)).toBe(0n);
  });

  it('only the low 16 bits of the reason name it: a bus lock in bit 26 changes nothing', () => {
    expect(after(VmxExit.Hlt | VmxExitReason.BusLock).takeLog()).toEqual(['halt 0']);
  });
});

describe('exits that end the VP', () => {
  it.each([
    ['a triple fault', VmxExit.TripleFault, 'triple fault'],
    ['bad guest state', VmxExit.BadGuestState, 'the guest state does not allow a VM entry'],
    ['a failed entry', VmxExit.BadGuestState | VmxExitReason.EntryFailed, 'the VM entry failed, VMX exit reason 33'],
    ['GDTR or IDTR', VmxExit.GdtrIdtr, 'a descriptor-table access exited, which this backing never asks for'],
    ['LDTR or TR', VmxExit.LdtrTr, 'a descriptor-table access exited, which this backing never asks for'],
    ['INVD', 13, 'VMX exit reason 13 is not handled'],
    ['a self-IPI with a vector below 16', VmxExit.ApicWrite, 'VMX exit reason 56 is not handled'],
    ['a reason beyond all tables', 0xffff, 'VMX exit reason 65535 is not handled'],
  ])('%s', (_name, reason, message) => {
    const scripted = after(reason);
    expect(scripted.takeLog()).toEqual([`fatal ${message}`]);
    expect(scripted.advanced).toBe(0);
  });
});

describe('the status of TDG.VP.ENTER', () => {
  it.each([TdxStatus.PendingInterrupt, 0x1121, TdxStatus.OperandInvalid, 0xffffffff])('%d, from PENDING_INTERRUPT on, is "never entered": nothing is handled, and the event is not delivered', (status) => {
    const scripted = start();
    scripted.vp.injectException(0, 6, -1);
    scripted.exit(VmxExit.Hlt, { status });
    expect([scripted.takeLog(), scripted.advanced]).toEqual([[], 0]);
    expect(injection(scripted) & 0xffn).toBe(6n);
  });

  it.each([TdxStatus.L2ExitHostRoutedAsync, TdxStatus.L2ExitPendingInterrupt])('%d comes with an exit that is handled', (status) => {
    expect(after(VmxExit.Hlt, {}, { status }).takeLog()).toEqual(['halt 0']);
  });

  it('HOST_ROUTED_TDVMCALL: the host has completed the call, nothing is left to do', () => {
    const scripted = after(VmxExit.Tdcall, { rax: 0n, r10: 7n }, { status: TdxStatus.L2ExitHostRoutedTdvmcall, length: 4 });
    expect([scripted.takeLog(), scripted.advanced, scripted.gpr(Gpr.r10)]).toEqual([[], 0, 7n]);
  });

  it('any other below it ends the VP, with its number', () => {
    expect(after(VmxExit.Hlt, {}, { status: 0x1103 }).takeLog()).toEqual(['fatal TDG.VP.ENTER returned status 0x1103, which is none of an exit']);
  });
});

describe('the end of a level-triggered interrupt that hardware ended by itself (exit 45)', () => {
  it('goes to the I/O APIC that listens, and RIP stays: the exit comes behind the instruction (SDM volume 3, 30.1.4)', () => {
    const scripted = start();
    scripted.handlers.listensForLevels = true;
    scripted.exit(VmxExit.VirtualizedEoi, { qualification: 0x71 });
    expect([scripted.takeLog(), scripted.advanced]).toEqual([['level eoi 0 113'], 0]);
  });

  it('ends the VP where nobody listens: openvmm knows no exit 45', () => {
    expect(after(VmxExit.VirtualizedEoi, {}, { qualification: 0x71 }).takeLog()[1]).toMatch(/^fatal VMX exit reason 45 is not handled/);
  });
});
