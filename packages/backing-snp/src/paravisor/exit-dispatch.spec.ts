import { EventInject, HvMessageType, SvmExit, SvmIoInfo, VIntr, u64ToBigInt } from '@paravisor/hcl-protocol';
import { EmulationStatus, MsrStatus } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { ScriptedSnpVp, initialRegisters } from '../../test/scripted-vp.js';
import { EXCEPTION_INTERCEPT, UNACCEPTED_GPA } from '../abi/index.js';

const RIP = initialRegisters.rip;
const GENERAL_PROTECTION = EventInject.Valid | EventInject.ErrorCodeValid | (3 << EventInject.TypeShift) | 13;
const APIC_PAGE = 0xfee00000;

const rip = ({ vmsa }: ScriptedSnpVp): bigint => u64ToBigInt(vmsa.rip);
const shadow = ({ vmsa }: ScriptedSnpVp): number => vmsa.vIntrCntrl.lo & VIntr.Shadow;

/** A VP in the shadow of an STI, as most of these instructions may be. */
function start(): ScriptedSnpVp {
  const scripted = new ScriptedSnpVp();
  scripted.vmsa.vIntrCntrl.setParts(VIntr.Shadow, scripted.vmsa.vIntrCntrl.hi);
  return scripted;
}

/** A nested page fault at `gpa`, with a host message of `type` about `messageGpa`, if any. */
function nestedPageFault(scripted: ScriptedSnpVp, gpa: number, type?: number, messageGpa: number | null = gpa, cutOff = 0): void {
  const { hcl, exitMessage } = scripted;
  scripted.round((vmsa) => {
    vmsa.guestErrorCode.setParts(SvmExit.Npf, 0);
    vmsa.exitInfo2.setParts(gpa, 0);
    vmsa.exitIntInfo.setParts(cutOff, 0);
    if (type === undefined) return;
    hcl.interceptMessagePresent = true;
    exitMessage.message.type = type;
    if (messageGpa !== null) exitMessage.memory.guestPhysicalAddress.setParts(messageGpa, 0);
  });
}

describe('exits that finish an instruction (APM appendix C)', () => {
  it('CPUID zero-extends its results and advances to the next RIP, ending the shadow', () => {
    const scripted = start();
    scripted.vmsa.rax.setParts(7, -1);
    scripted.vmsa.rcx.setParts(2, -1);
    scripted.exit(SvmExit.Cpuid);
    expect(scripted.takeLog()).toEqual(['cpuid 7.2']);
    expect(u64ToBigInt(scripted.vmsa.rdx)).toBe(0xffff_ffffn);
    expect(rip(scripted)).toBe(RIP + 2n);
    expect(shadow(scripted)).toBe(0);
  });

  it('a single step over one is lost: nothing is injected, and the flags keep TF (openvmm `advance_to_next_instruction`)', () => {
    const scripted = start();
    scripted.vmsa.rflags.setParts(0x102, 0);
    scripted.exit(SvmExit.Cpuid);
    expect([rip(scripted), scripted.vmsa.eventInject.lo & EventInject.Valid, scripted.vmsa.rflags.lo]).toEqual([RIP + 2n, 0, 0x102]);
  });

  it('RDMSR splits its value over EDX:EAX; exit_info1 bit 0 makes it WRMSR', () => {
    const scripted = start();
    scripted.vmsa.rcx.setParts(0x40000020, 0);
    scripted.exit(SvmExit.Msr);
    expect([u64ToBigInt(scripted.vmsa.rax), u64ToBigInt(scripted.vmsa.rdx)]).toEqual([0x8000_0001n, 0xffff_fffen]);
    scripted.exit(SvmExit.Msr, 1);
    expect(scripted.takeLog()).toEqual(['rdmsr 40000020', 'wrmsr 40000020 0xfffffffe80000001']);
    expect(rip(scripted)).toBe(RIP + 4n);
  });

  it.each([0, 1])('a refused MSR access (write %d) is #GP(0) at the instruction', (write) => {
    const scripted = start();
    scripted.handlers.msrStatus = MsrStatus.GeneralProtection;
    scripted.exit(SvmExit.Msr, write);
    expect(scripted.vmsa.eventInject.lo).toBe(GENERAL_PROTECTION);
    expect(rip(scripted)).toBe(RIP);
  });

  it.each([
    ['in al', SvmIoInfo.Size8, 0x1111_2222_3333_44d4n],
    ['in ax', SvmIoInfo.Size16, 0x1111_2222_3333_c3d4n],
    ['in eax', SvmIoInfo.Size32, 0xa1b2_c3d4n],
  ])('%s merges into RAX as the manual says', (_name, size, expected) => {
    const scripted = start();
    scripted.vmsa.rax.setParts(0x33334444, 0x11112222);
    scripted.exit(SvmExit.Ioio, SvmIoInfo.In | size | (0x3f8 << SvmIoInfo.PortShift));
    expect(u64ToBigInt(scripted.vmsa.rax)).toBe(expected);
    expect(rip(scripted)).toBe(RIP + 2n);
  });

  it('OUT writes the low bytes of RAX; port 0xffff is not negative', () => {
    const scripted = start();
    scripted.vmsa.rax.setParts(0x8899aabb | 0, 0);
    scripted.exit(SvmExit.Ioio, SvmIoInfo.Size16 | (0xffff << SvmIoInfo.PortShift));
    scripted.exit(SvmExit.Ioio, SvmIoInfo.Size32 | (0x80 << SvmIoInfo.PortShift));
    expect(scripted.takeLog()).toEqual(['out ffff/2 aabb', 'out 80/4 8899aabb']);
  });

  it('string I/O is emulated, not advanced', () => {
    const scripted = start();
    scripted.exit(SvmExit.Ioio, SvmIoInfo.String | SvmIoInfo.Rep | SvmIoInfo.Size8);
    expect(scripted.takeLog()).toEqual(['string io']);
    expect(rip(scripted)).toBe(RIP);
  });

  it('VMMCALL is a hypercall; WBINVD and INVD do nothing', () => {
    const scripted = start();
    for (const code of [SvmExit.Vmmcall, SvmExit.Wbinvd, SvmExit.Invd]) scripted.exit(code);
    expect(scripted.takeLog()).toEqual(['hypercall']);
    expect(rip(scripted)).toBe(RIP + 6n);
  });

  it('HLT has advanced already: the VTL halts, RIP stays, the shadow ends', () => {
    const scripted = start();
    scripted.exit(SvmExit.Hlt);
    expect(scripted.takeLog()).toEqual(['halt 0']);
    expect(rip(scripted)).toBe(RIP);
    expect(shadow(scripted)).toBe(0);
  });

  it('XSETBV takes x87 state with or without SSE, all the processor has, at CPL 0 with CR4.OSXSAVE; the rest is #GP', () => {
    const osxsave = 1 << 18;
    const attempt = (value: number, { xcr = 0, high = 0, cpl = 0, cr4 = osxsave } = {}): bigint | 'gp' => {
      const scripted = start();
      const { vmsa } = scripted;
      vmsa.rax.setParts(value, 0);
      vmsa.rdx.setParts(high, 0);
      vmsa.rcx.setParts(xcr, 0);
      vmsa.cr4.setParts(cr4, 0);
      vmsa.cpl = cpl;
      scripted.exit(SvmExit.Xsetbv);
      return vmsa.eventInject.lo === GENERAL_PROTECTION ? 'gp' : u64ToBigInt(vmsa.xcr0);
    };
    expect([attempt(1), attempt(3)]).toEqual([1n, 3n]);
    for (const refused of [attempt(0), attempt(2), attempt(7), attempt(1, { high: 1 }), attempt(1, { xcr: 1 }), attempt(1, { cpl: 3 }), attempt(1, { cr4: 0 })]) {
      expect(refused).toBe('gp');
    }
  });

  it('RDPMC reads the four core counters as 0; others, and user mode without CR4.PCE, are #GP', () => {
    const attempt = (counter: number, cpl: number): number => {
      const scripted = start();
      scripted.vmsa.rcx.setParts(counter, 0);
      scripted.vmsa.cpl = cpl;
      scripted.exit(SvmExit.Rdpmc);
      return scripted.vmsa.eventInject.lo === GENERAL_PROTECTION ? -1 : scripted.vmsa.rax.lo;
    };
    expect([attempt(3, 0), attempt(4, 0), attempt(0, 3)]).toEqual([0, -1, -1]);
  });
});

describe('a nested page fault is acted on only with a matching host message (openvmm run_vp_snp)', () => {
  it.each([HvMessageType.GpaIntercept, HvMessageType.UnmappedGpa, UNACCEPTED_GPA])('message type %d about the same page: emulated', (type) => {
    const scripted = start();
    nestedPageFault(scripted, APIC_PAGE + 0x80, type, APIC_PAGE + 0xff0);
    expect(scripted.takeLog()).toEqual(['mmio fee00080']);
    expect(shadow(scripted)).toBe(0);
  });

  it('no message, another page, another kind of message: nothing, and the guest tries again', () => {
    const scripted = start();
    nestedPageFault(scripted, APIC_PAGE);
    nestedPageFault(scripted, APIC_PAGE, HvMessageType.GpaIntercept, APIC_PAGE + 0x1000);
    nestedPageFault(scripted, APIC_PAGE, HvMessageType.TimerExpired);
    expect(scripted.takeLog()).toEqual([]);
    expect(rip(scripted)).toBe(RIP);
  });

  it('an intercepted #VC vouches for it too, whatever the address; another exception does not', () => {
    const scripted = start();
    for (const vector of [29, 14]) {
      scripted.exitMessage.exception.vector = vector;
      nestedPageFault(scripted, APIC_PAGE, EXCEPTION_INTERCEPT, null);
    }
    expect(scripted.takeLog()).toEqual(['mmio fee00000']);
  });

  it('during the delivery of an event it belongs to no instruction, and ends the VP (openvmm, "interruption pending")', () => {
    const scripted = start();
    nestedPageFault(scripted, APIC_PAGE + 0x50, HvMessageType.UnmappedGpa, APIC_PAGE, EventInject.Valid | 0x51);
    expect(scripted.takeLog()).toEqual(['fatal the delivery of vector 81 accessed a device at 0xfee00050']);
  });

  it('an emulation that faulted leaves the shadow: the instruction has not finished', () => {
    const scripted = start();
    scripted.handlers.emulation = EmulationStatus.Faulted;
    nestedPageFault(scripted, APIC_PAGE, HvMessageType.GpaIntercept);
    expect(shadow(scripted)).toBe(VIntr.Shadow);
  });
});

describe('the other exit codes', () => {
  it.each(['Intr', 'Nmi', 'Smi', 'Vintr', 'Pause', 'IdleHlt', 'BusLock', 'Vmgexit'] as const)('%s asks for nothing', (name) => {
    const scripted = start();
    scripted.exit(SvmExit[name]);
    expect(scripted.takeLog()).toEqual([]);
    expect(rip(scripted)).toBe(RIP);
  });

  it('SHUTDOWN is a triple fault, and ends the VP', () => {
    const scripted = start();
    scripted.exit(SvmExit.Shutdown);
    expect(scripted.takeLog()).toEqual(['fatal triple fault']);
  });

  it('any other code ends the VP, with its number', () => {
    const scripted = start();
    scripted.exit(0x8a);
    expect(scripted.takeLog()).toEqual(['fatal unexpected exit: SVM exit code 0x8a at RIP 0x200000, VP 0']);
  });

  it('VMEXIT_INVALID ends the VP', () => {
    const scripted = start();
    scripted.round((vmsa) => vmsa.guestErrorCode.setParts(-1, -1));
    expect(scripted.takeLog()).toEqual(['fatal VMRUN refused the VMSA: SVM exit code 0xffffffffffffffff at RIP 0x200000, VP 0']);
  });
});
