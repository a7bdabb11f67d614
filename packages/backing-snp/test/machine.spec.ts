import { EventInject, HvMessageType, SvmExit, SvmIoInfo, VIntr, u64ToNumber } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { CODE, GuestProgram, HANDLERS, UNACCEPTED } from './guest-program.js';

const NPF_RMP = 1 << 31;
const HLT = 0xf4;
/** mov rax, imm64 */
const movRax = (value: number): number[] => [0x48, 0xb8, ...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];
/** mov ecx, imm32 */
const movEcx = (value: number): number[] => [0xb9, ...new Uint8Array(Uint32Array.of(value).buffer)];
const RDMSR = [0x0f, 0x32];
const WRMSR = [0x0f, 0x30];
const CLI_HLT = [0xfa, HLT];

describe('an intercepted instruction is reflected to VMPL0 (APM 15.36.9)', () => {
  it('CPUID: exit code, next RIP, guest-busy; RIP stays; one switch in and one out through the host', () => {
    const guest = new GuestProgram([0x0f, 0xa2, HLT]);
    expect(guest.run()).toBe(SvmExit.Cpuid);
    expect([guest.rip, guest.vmsa.nextRip.lo, guest.busy]).toEqual([CODE, CODE + 2, true]);
    expect(guest.exits.paravisor).toEqual({ cpuid: 1 });
    expect(guest.exits.user).toEqual({ cpuid: 1 });
    expect(guest.exits.hypervisor).toEqual({ vmpl_switch: 2 });
  });

  it('user mode\'s changes to the VMSA reach the guest', () => {
    // cpuid; mov edx, eax; hlt
    const guest = new GuestProgram([0x0f, 0xa2, 0x89, 0xc2, HLT]);
    guest.run();
    guest.vmsa.rip.set(guest.vmsa.nextRip);
    guest.vmsa.rax.setParts(0x1234, 0);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.vmsa.rdx.lo).toBe(0x1234);
  });

  it('IOIO: direction, form, sizes and port in exit_info1, next RIP in exit_info2', () => {
    // mov dx, 0x3f8; out dx, al; rep outsw; in eax, 0x80
    const guest = new GuestProgram([0x66, 0xba, 0xf8, 0x03, 0xee, 0xf3, 0x66, 0x6f, 0xe5, 0x80]);
    expect(guest.run()).toBe(SvmExit.Ioio);
    expect(guest.vmsa.exitInfo1.lo & 0xffff007f).toBe(SvmIoInfo.Size8 | (0x3f8 << SvmIoInfo.PortShift));
    expect(guest.vmsa.exitInfo2.lo).toBe(CODE + 5);
    guest.vmsa.rip.set(guest.vmsa.nextRip);
    guest.vmsa.rcx.setParts(1, 0);
    expect(guest.run()).toBe(SvmExit.Ioio);
    expect(guest.vmsa.exitInfo1.lo & 0xffff007f).toBe(SvmIoInfo.String | SvmIoInfo.Rep | SvmIoInfo.Size16 | (0x3f8 << SvmIoInfo.PortShift));
    guest.vmsa.rip.set(guest.vmsa.nextRip);
    expect(guest.run()).toBe(SvmExit.Ioio);
    expect(guest.vmsa.exitInfo1.lo & 0xffff007f).toBe(SvmIoInfo.In | SvmIoInfo.Size32 | (0x80 << SvmIoInfo.PortShift));
  });

  it('WRMSR is told from RDMSR by exit_info1, and counts under its own name', () => {
    const guest = new GuestProgram([...movEcx(0x40000020), ...RDMSR, ...WRMSR]);
    expect([guest.run(), guest.vmsa.exitInfo1.lo]).toEqual([SvmExit.Msr, 0]);
    guest.vmsa.rip.set(guest.vmsa.nextRip);
    expect([guest.run(), guest.vmsa.exitInfo1.lo]).toEqual([SvmExit.Msr, 1]);
    expect(guest.exits.user).toEqual({ msr_read: 1, msr_write: 1 });
  });

  it('VMMCALL exits; VMCALL is not an AMD instruction: #UD in the guest', () => {
    const guest = new GuestProgram([0x0f, 0x01, 0xd9], {});
    expect(guest.run()).toBe(SvmExit.Vmmcall);
    const other = new GuestProgram([0x0f, 0x01, 0xc1], { 6: [HLT] });
    expect(other.run()).toBe(SvmExit.Hlt);
    expect(other.rip).toBe(HANDLERS + 6 * 16 + 1);
  });
});

describe('MSRs that live in the VMSA pass', () => {
  it('KERNEL_GS_BASE is written without an exit, and shows in the VMSA', () => {
    const guest = new GuestProgram([...movEcx(0xc0000102), ...movRax(0x7000), 0x31, 0xd2, ...WRMSR, HLT]);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.vmsa.kernelGsBase.lo).toBe(0x7000);
  });

  it('EFER passes, and shows SVME, which hardware insists on', () => {
    const guest = new GuestProgram([...movEcx(0xc0000080), ...RDMSR, HLT]);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.vmsa.rax.lo & 0x1000).toBe(0x1000);
  });

  it('TSC can be read, not written', () => {
    const guest = new GuestProgram([...movEcx(0x10), ...RDMSR, ...WRMSR]);
    expect([guest.run(), guest.vmsa.exitInfo1.lo]).toEqual([SvmExit.Msr, 1]);
    expect(guest.vmsa.rax.lo).toBeGreaterThan(0);
  });
});

describe('automatic exits leave guest-busy clear', () => {
  it('HLT: RIP behind it', () => {
    const guest = new GuestProgram([0x90, HLT]);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect([guest.rip, guest.busy]).toEqual([CODE + 2, false]);
    expect(guest.exits.user).toEqual({ hlt: 1 });
  });

  it('a triple fault: SHUTDOWN', () => {
    // lidt [rip + 0]: an empty IDT follows; ud2
    const guest = new GuestProgram([0x0f, 0x01, 0x1d, 2, 0, 0, 0, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(guest.run()).toBe(SvmExit.Shutdown);
    expect(guest.busy).toBe(false);
  });

  it('an interrupt for VTL2: the exit code stays INTR, and the guest goes on where it was', () => {
    const guest = new GuestProgram([0xff, 0xc0, 0xeb, 0xfc]); // inc eax; jmp back
    const { machine } = guest;
    machine.schedule(machine.now + 1_000_000, (tick) => machine.vps[0]!.host.interruptVtl2(tick));
    expect(guest.run()).toBe(SvmExit.Intr);
    const first = guest.vmsa.rax.lo;
    expect(first).toBeGreaterThan(100);
    expect(guest.exits.hypervisor).toEqual({ vmpl_switch: 2, host_interrupt: 1 });
    machine.schedule(machine.now + 1_000_000, (tick) => machine.vps[0]!.host.interruptVtl2(tick));
    expect(guest.run()).toBe(SvmExit.Intr);
    expect(guest.vmsa.rax.lo).toBeGreaterThan(first);
    expect(guest.exits.user).toEqual({ intr: 2 });
  });
});

describe('nested page faults, and what the host says about them', () => {
  it('an address outside RAM: NPF with the address, and the host\'s message', () => {
    // mov [0xfee000b0], eax
    const guest = new GuestProgram([...movRax(0xfee000b0), 0x89, 0x08]);
    expect(guest.run()).toBe(SvmExit.Npf);
    expect(u64ToNumber(guest.vmsa.exitInfo2)).toBe(0xfee000b0);
    expect(guest.vmsa.exitInfo1.lo & 2).toBe(2);
    expect([guest.rip, guest.busy, guest.hcl.interceptMessagePresent]).toEqual([CODE + 10, true, true]);
    expect(guest.exitMessage.message.type).toBe(HvMessageType.UnmappedGpa);
    expect(u64ToNumber(guest.exitMessage.memory.guestPhysicalAddress)).toBe(0xfee000b0);
    expect(guest.exits.user).toEqual({ npf: 1 });
  });

  it('a page that was not accepted: the RMP denies it to VMPL2', () => {
    const guest = new GuestProgram([...movRax(UNACCEPTED), 0x8b, 0x08]);
    expect(guest.run()).toBe(SvmExit.Npf);
    expect(guest.vmsa.exitInfo1.lo & NPF_RMP).toBe(NPF_RMP);
    expect(guest.exitMessage.message.type).toBe(HvMessageType.GpaIntercept);
  });

  it('once it is accepted, the guest goes on', () => {
    const guest = new GuestProgram([...movRax(UNACCEPTED), 0x8b, 0x08, HLT]);
    guest.run();
    expect(guest.hcl.pvalidate(UNACCEPTED, true)).toBe(0);
    expect(guest.run()).toBe(SvmExit.Hlt);
  });

  it('the next exit has no message', () => {
    const guest = new GuestProgram([...movRax(UNACCEPTED), 0x8b, 0x08, HLT]);
    guest.run();
    guest.vmsa.rip.setParts(CODE + 12, 0);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.hcl.interceptMessagePresent).toBe(false);
  });

  it('a fault during an event\'s delivery leaves the event in exit_int_info', () => {
    // mov rsp, UNACCEPTED + 0x800; ud2
    const guest = new GuestProgram([...movRax(UNACCEPTED + 0x800), 0x48, 0x89, 0xc4, 0x0f, 0x0b], { 6: CLI_HLT });
    expect(guest.run()).toBe(SvmExit.Npf);
    expect(guest.vmsa.exitIntInfo.lo).toBe(EventInject.Valid | (3 << EventInject.TypeShift) | 6);
    expect(guest.rip).toBe(CODE + 13);
  });
});

describe('virtual interrupt control and event injection', () => {
  const VECTOR = 0x51;
  const offer = (guest: GuestProgram, tpr = 0): void => {
    guest.vmsa.vIntrCntrl.setParts(VIntr.Irq | ((VECTOR >> 4) << VIntr.PriorityShift) | tpr, guest.vmsa.vIntrCntrl.hi | VECTOR);
  };

  it('an interrupt is taken when the guest sets IF, after the shadow of STI; IRQ is clear then', () => {
    // nop; sti; nop; jmp $
    const guest = new GuestProgram([0x90, 0xfb, 0x90, 0xeb, 0xfe], { [VECTOR]: CLI_HLT });
    offer(guest);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.rip).toBe(HANDLERS + 16 * VECTOR + 2);
    expect(guest.vmsa.vIntrCntrl.lo & VIntr.Irq).toBe(0);
    const frame = new Uint8Array(8);
    guest.machine.hcl.memory.read(guest.vmsa.rsp.lo, frame);
    expect(new DataView(frame.buffer).getUint32(0, true)).toBe(CODE + 3);
  });

  it('stays requested while IF is clear, or the task priority is not below it', () => {
    const masked = new GuestProgram([0x90, HLT]);
    offer(masked);
    expect(masked.run()).toBe(SvmExit.Hlt);
    expect(masked.vmsa.vIntrCntrl.lo & VIntr.Irq).toBe(VIntr.Irq);

    const low = new GuestProgram([0xfb, 0x90, 0x90, HLT], { [VECTOR]: CLI_HLT });
    offer(low, VECTOR >> 4);
    expect(low.run()).toBe(SvmExit.Hlt);
    expect(low.rip).toBe(CODE + 4);
    expect(low.vmsa.vIntrCntrl.lo & VIntr.Irq).toBe(VIntr.Irq);
  });

  it('MOV to CR8 shows in the task priority', () => {
    // mov eax, 5; mov cr8, rax; hlt
    const guest = new GuestProgram([0xb8, 5, 0, 0, 0, 0x44, 0x0f, 0x22, 0xc0, HLT]);
    guest.run();
    expect(guest.vmsa.vIntrCntrl.lo & VIntr.TprMask).toBe(5);
  });

  it('the shadow of STI shows when the next instruction exits', () => {
    const guest = new GuestProgram([0xfb, 0x0f, 0xa2]);
    expect(guest.run()).toBe(SvmExit.Cpuid);
    expect(guest.vmsa.vIntrCntrl.lo & VIntr.Shadow).toBe(VIntr.Shadow);
  });

  it('an injected exception is delivered with its error code, before any instruction', () => {
    const guest = new GuestProgram([0x0f, 0x0b], { 13: [0x58, ...CLI_HLT] }); // pop rax
    guest.vmsa.eventInject.setParts(EventInject.Valid | EventInject.ErrorCodeValid | (3 << EventInject.TypeShift) | 13, 0x18);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.vmsa.rax.lo).toBe(0x18);
    expect(guest.vmsa.eventInject.lo).toBe(0);
  });

  it('an interrupt for VTL2 that comes before the event was delivered leaves it in exit_int_info, and it is not lost', () => {
    const guest = new GuestProgram([0x90, 0xeb, 0xfe], { 13: CLI_HLT });
    const info = EventInject.Valid | (3 << EventInject.TypeShift) | 13;
    guest.vmsa.eventInject.setParts(info, 0);
    guest.machine.schedule(guest.machine.now + 1_000, (tick) => guest.machine.vps[0]!.host.interruptVtl2(tick));
    expect(guest.run()).toBe(SvmExit.Intr);
    expect(guest.vmsa.exitIntInfo.lo).toBe(info);
    guest.vmsa.eventInject.set(guest.vmsa.exitIntInfo);
    expect(guest.run()).toBe(SvmExit.Hlt);
  });
});

describe('what hardware and driver refuse', () => {
  it('the host does not run a VMSA that is guest-busy', () => {
    const guest = new GuestProgram([HLT]);
    expect(guest.busy).toBe(true);
    guest.hcl.run();
    expect(guest.rip).toBe(CODE);
    expect(guest.exits).toEqual({ paravisor: {}, user: { intr: 1 }, hypervisor: { other: 1 } });
  });

  it.each([
    ['EFER without SVME', (guest: GuestProgram) => guest.vmsa.efer.setParts(guest.vmsa.efer.lo & ~0x1000, 0)],
    ['features without SNP', (guest: GuestProgram) => guest.vmsa.sevFeatures.setParts(guest.vmsa.sevFeatures.lo & ~1, 0)],
    ['restricted injection', (guest: GuestProgram) => guest.vmsa.sevFeatures.setParts(guest.vmsa.sevFeatures.lo | 8, 0)],
    ['another VMPL', (guest: GuestProgram) => (guest.vmsa.vmpl = 0)],
  ])('%s: VMEXIT_INVALID, nothing run', (_name, spoil) => {
    const guest = new GuestProgram([HLT]);
    spoil(guest);
    expect(guest.run()).toBe(-1);
    expect(guest.rip).toBe(CODE);
    expect(guest.exits.paravisor).toEqual({});
  });

  it('there is no TDCALL, and no lower-VTL timer virtualization', () => {
    const { hcl, machine } = new GuestProgram([HLT]);
    expect(hcl.vmsa(2)).toBeNull();
    expect(machine.hcl.checkExtension(4)).toBe(-95);
  });
});

describe('x87 and SSE registers are in the VMSA (APM table B-4)', () => {
  const OSFXSR = 1 << 9;
  /** mov eax, 0x1234; movd xmm3, eax; fld1; hlt; movd eax, xmm3; hlt */
  const code = [0xb8, 0x34, 0x12, 0, 0, 0x66, 0x0f, 0x6e, 0xd8, 0xd9, 0xe8, HLT, 0x66, 0x0f, 0x7e, 0xd8, HLT];

  function start(): GuestProgram {
    const guest = new GuestProgram(code);
    guest.vmsa.cr4.setParts(guest.vmsa.cr4.lo | OSFXSR, 0);
    expect(guest.run()).toBe(SvmExit.Hlt);
    return guest;
  }

  it('are stored with an exit: XMM3, and 1.0 in register 7, which a push onto the empty stack fills', () => {
    const { vmsa } = start();
    expect([vmsa.xmm[6]!.lo, vmsa.xmm[7]!.lo]).toEqual([0x1234, 0]);
    expect([...vmsa.x87Registers.subarray(70)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);
    expect([vmsa.x87Ftw, vmsa.x87Fsw, vmsa.x87Fcw, vmsa.mxcsr]).toEqual([0x80, 0x3800, 0x40, 0x1f80]);
  });

  it('are loaded at VMRUN', () => {
    const guest = start();
    guest.vmsa.xmm[6]!.setParts(0x77, 0);
    guest.vmsa.x87Registers.fill(0x5a);
    guest.vmsa.mxcsr = 0x1fc0;
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.vmsa.rax.lo).toBe(0x77);
    expect([guest.vmsa.x87Registers.every((byte) => byte === 0x5a), guest.vmsa.mxcsr]).toEqual([true, 0x1fc0]);
  });
});
