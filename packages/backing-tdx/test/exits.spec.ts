import { ExitDestination, ExitReason, InterruptionInfo, RunStatus, TdcallLeaf, TdxStatus, U64, UPDATE_DEADLINE, VmcsField, VmxExit, newTdcallArgument } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { l2VmcsFieldHigh } from '../src/abi/index.js';
import { At, TIMER_VECTOR, bytesOf, smallMachine, startVtl0 } from './small-guest.js';
import type { SmallMachine } from './small-guest.js';

const Gpr = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsi: 6 } as const;
type Registers = Partial<Record<keyof typeof Gpr, number>>;

/** Runs instructions at `At.snippet` until they exit, for one virtual millisecond at most. */
function runSnippet(hex: string, registers: Registers = {}, prepare: (small: SmallMachine) => void = () => {}) {
  const small = smallMachine();
  const { machine, vp, page } = small;
  machine.loadImage(At.snippet, bytesOf(hex));
  startVtl0(small, At.snippet);
  for (const [name, value] of Object.entries(registers)) page.context.gprList.gpr[Gpr[name as keyof typeof Gpr]]!.set(new U64().setNumber(value));
  prepare(small);
  machine.schedule(machine.now + 2_000_000, () => machine.stop());
  machine.nextVp();
  const status = vp.run();
  return { ...small, status, info: page.context.exitInfo };
}

function readField({ vp }: SmallMachine, encoding: number): bigint {
  const argument = newTdcallArgument();
  argument.rax.setParts(TdcallLeaf.VpRd, 0);
  argument.rdx.setParts(encoding, l2VmcsFieldHigh(1, encoding));
  expect(vp.tdcall(argument)).toBe(0);
  return new U64().set(argument.r8).toBigInt();
}

function writeField({ vp }: SmallMachine, encoding: number, value: number): void {
  const argument = newTdcallArgument();
  argument.rax.setParts(TdcallLeaf.VpWr, 0);
  argument.rdx.setParts(encoding, l2VmcsFieldHigh(1, encoding));
  argument.r8.setParts(value, 0);
  argument.r9.setParts(-1, -1);
  expect(vp.tdcall(argument)).toBe(0);
  expect(argument.rax.hi).toBe(TdxStatus.Success);
}

describe('exit information of an L2 VM (SDM volume 3, chapter 28)', () => {
  it.each<[name: string, hex: string, registers: Registers, reason: number, qualification: number, length: number]>([
    ['CPUID', '0fa2', {}, VmxExit.Cpuid, 0, 2],
    ['HLT', 'f4', {}, VmxExit.Hlt, 0, 1],
    ['OUT DX, AX', '66ef', { rdx: 0x3f8 }, VmxExit.Io, 0x03f80001, 2],
    ['IN AL, 0x71', 'e471', {}, VmxExit.Io, 0x00710008, 2],
    ['REP OUTSB', 'f36e', { rdx: 0x80, rcx: 3, rsi: 0x8000 }, VmxExit.Io, 0x00800030, 2],
    ['RDMSR of a synthetic MSR', '0f32', { rcx: 0x40000020 }, VmxExit.MsrRead, 0, 2],
    ['WRMSR to the x2APIC', '0f30', { rcx: 0x80b }, VmxExit.MsrWrite, 0, 2],
    ['WRMSR to EFER', '0f30', { rcx: 0xc0000080 }, VmxExit.MsrWrite, 0, 2],
    ['VMCALL', '0f01c1', {}, VmxExit.Vmcall, 0, 3],
    ['TDCALL', '660f01cc', {}, VmxExit.Tdcall, 0, 4],
    ['MOV CR4, RCX that sets MCE', '0f22e1', { rcx: 0x60 }, VmxExit.CrAccess, 0x104, 3],
    ['WBINVD', '0f09', {}, VmxExit.Wbinvd, 0, 2],
  ])('%s', (_, hex, registers, reason, qualification, length) => {
    const { status, info, page } = runSnippet(hex, registers);
    expect(status).toBe(RunStatus.Finished);
    expect({ reason: info.rax.lo, status: info.rax.hi, qualification: info.rcx.lo, length: info.r11.hi }).toEqual({ reason, status: 0, qualification, length });
    // The exit is fault-like: RIP points at the instruction, and the code segment is the guest's.
    expect(page.context.gprList.rip.lo).toBe(At.snippet);
    expect({ selector: info.rsi.lo & 0xffff, attributes: info.rsi.lo >>> 16, limit: info.rsi.hi >>> 0, base: info.rdi.lo }).toEqual({ selector: 8, attributes: 0xa09b, limit: 0xffffffff, base: 0 });
    expect(info.r12.lo).toBe(0);
  });

  it('an EPT violation gives address, linear address and direction of the access', () => {
    const write = runSnippet('a3b000e0fe00000000').info;
    expect({ reason: write.rax.lo, gpa: new U64().set(write.r8).toNumber(), gva: new U64().set(write.rdx).toNumber() }).toEqual({
      reason: VmxExit.EptViolation,
      gpa: 0xfee000b0,
      gva: 0xfee000b0,
    });
    expect(write.rcx.lo).toBe(0x182);
    expect(runSnippet('488b042500000001').info.rcx.lo).toBe(0x181);
  });

  it('XSETBV exits once CR4.OSXSAVE allows it', () => {
    const { info } = runSnippet('0f01d1', {}, (small) => writeField(small, VmcsField.Cr4, 0x40060));
    expect([info.rax.lo, info.r11.hi]).toEqual([VmxExit.Xsetbv, 3]);
  });

  it('XCR0 reads 1 from the start, as after reset (SDM volume 3, table 10-1)', () => {
    // xgetbv; hlt
    const { info, page } = runSnippet('0f01d0f4', { rax: 7 }, (small) => writeField(small, VmcsField.Cr4, 0x40060));
    expect(info.rax.lo).toBe(VmxExit.Hlt);
    expect(page.context.gprList.gpr[Gpr.rax]!.lo).toBe(1);
  });

  it('a triple fault is reason 2', () => {
    // lidt of a null limit, then ud2.
    const { info } = runSnippet('0f011c25407000000f0b');
    expect(info.rax.lo).toBe(VmxExit.TripleFault);
  });

  it.each([
    ['STAR to SFMASK and the segment bases', '0f30', 0xc0000082],
    ['KERNEL_GS_BASE', '0f30', 0xc0000102],
    ['SYSENTER_EIP', '0f30', 0x176],
    ['a read of EFER', '0f32', 0xc0000080],
    ['a read of the TSC', '0f32', 0x10],
  ])('no exit for %s: the guest runs on', (_, hex, msr) => {
    const { status, machine } = runSnippet(`${hex}ebfe`, { rcx: msr });
    expect(status).toBe(RunStatus.Pending);
    expect(machine.ledger.total(ExitDestination.Paravisor)).toBe(0);
  });

  it('a MOV to CR4 that leaves the masked bits alone does not exit, nor does the guest see CR0.NE and CR4.MCE', () => {
    // mov rax, cr4; or rax, 0x80 (PGE); mov cr4, rax; mov rbx, cr4; mov rcx, cr0; hlt
    const { info, page } = runSnippet('0f20e0480d800000000f22e00f20e30f20c1f4');
    expect(info.rax.lo).toBe(VmxExit.Hlt);
    const { gpr } = page.context.gprList;
    expect([gpr[Gpr.rbx]!.lo, gpr[Gpr.rcx]!.lo >>> 0]).toEqual([0xa0, 0x80000001]);
  });
});

describe('registers that the driver switches around a run', () => {
  it('reach the guest and come back', () => {
    // mov ecx, 0xc0000082 (LSTAR); rdmsr; inc eax; wrmsr; hlt
    const { page } = runSnippet('b9820000c00f32ffc00f30f4', {}, (small) => small.page.context.vpState.msrLstar.setParts(0x1234, 0));
    expect(page.context.vpState.msrLstar.lo).toBe(0x1235);
    expect(page.context.gprList.gpr[Gpr.rax]!.lo).toBe(0x1235);
  });
});

describe('event injection by VM entry (SDM volume 3, 27.6)', () => {
  const injection = (InterruptionInfo.Valid | TIMER_VECTOR) | 0;
  const interruptsOn = (small: SmallMachine) => small.page.context.gprList.rflags.setParts(0x202, 0);

  it('delivers the interrupt through the guest’s IDT and clears the valid bit', () => {
    // The guest's handler writes an x2APIC MSR: that exit is the next one.
    const small = runSnippet('ebfe', {}, (made) => {
      interruptsOn(made);
      writeField(made, VmcsField.EntryInterruptInfo, injection);
    });
    expect(small.info.rax.lo).toBe(VmxExit.MsrWrite);
    const counter = new U64();
    small.machine.hcl.memory.readU64(At.counter, counter);
    expect(counter.toNumber()).toBe(1);
    expect(readField(small, VmcsField.EntryInterruptInfo)).toBe(BigInt(TIMER_VECTOR));
  });

  it('fails the entry for an external interrupt while RFLAGS.IF is clear', () => {
    const { info } = runSnippet('ebfe', {}, (made) => writeField(made, VmcsField.EntryInterruptInfo, injection));
    expect(info.rax.lo).toBe(VmxExit.BadGuestState | (1 << 31));
  });

  it('comes before the exit of a deadline that has passed: the guest stands at its handler, and has retired nothing', () => {
    const { info, machine, page } = runSnippet('ebfe', {}, (made) => {
      interruptsOn(made);
      writeField(made, VmcsField.EntryInterruptInfo, injection);
      made.page.context.l2TscDeadline.deadline.setParts(1, 0);
      made.page.context.l2TscDeadline.updateDeadline = UPDATE_DEADLINE;
    });
    expect([info.rax.lo, info.r10.lo, page.context.gprList.rip.lo, machine.retired]).toEqual([VmxExit.TimerExpired, 0, At.handler, 0]);
  });

  it('is reported as IDT-vectoring information when an EPT violation cuts its delivery off', () => {
    // The stack lies outside RAM.
    const { info } = runSnippet('ebfe', {}, (made) => {
      interruptsOn(made);
      writeField(made, VmcsField.EntryInterruptInfo, injection);
      made.page.context.gprList.gpr[4]!.setParts(0x20000000, 0);
    });
    expect(info.rax.lo).toBe(VmxExit.EptViolation);
    expect(info.r10.lo).toBe(injection);
  });

  it('an interrupt window exits at the first instruction boundary at which the guest could take one', () => {
    // sti; nop; jmp .
    const { info, page, machine } = runSnippet('fb90ebfe', {}, (made) => writeField(made, VmcsField.ProcessorControls, 1 << 2));
    expect(info.rax.lo).toBe(VmxExit.InterruptWindow);
    expect(page.context.gprList.rip.lo).toBe(At.snippet + 2);
    expect(machine.ledger.countOf(ExitDestination.Paravisor, ExitReason.interrupt_window)).toBe(1);
  });
});
