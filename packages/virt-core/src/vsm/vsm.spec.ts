import { HvMsr, HvStatus, HvVpRegister, HvVtlEntryReason, PendingEvent, StimerConfig, VsmPartitionConfig } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ASSIST, Input, SELF, VsmGuest } from '../../test/vsm-guest.js';
import { HvCallCode } from '../hypercall/index.js';

const VINA = 0xd0;
const VECTOR = 0x50;
const Gpr = { Rax: 0, Rcx: 1, Rsp: 4 } as const;

const assistWord = (guest: VsmGuest, offset: number): number => new DataView(guest.machine.memory.bytes.buffer).getUint32(guest.machine.memory.bytes.byteOffset + ASSIST + offset, true);
const entryReason = (guest: VsmGuest): number => assistWord(guest, 8);
const vinaFlag = (guest: VsmGuest): number => assistWord(guest, 12) & 0xff;

describe('enabling VTL1 (TLFS 15.5; openvmm hardware_cvm)', () => {
  it('is told in CPUID, and denied when it is not offered', () => {
    const cpuid = (guest: VsmGuest): number => {
      const out = new Int32Array(4);
      guest.machine.recording.context.handlers.cpuid(0, 0x40000003, 0, out);
      return out[1]! & 0x10000;
    };
    expect(cpuid(new VsmGuest())).toBe(0x10000);
    const without = new VsmGuest({ guestVsm: false });
    expect(cpuid(without)).toBe(0);
    expect(without.enablePartitionVtl()).toBe(HvStatus.AccessDenied);
  });

  it.each([
    ['VTL0', 0, 0, HvStatus.AccessDenied],
    ['VTL2', 2, 0, HvStatus.AccessDenied],
    ['no VTL', 3, 0, HvStatus.AccessDenied],
    ['supervisor shadow stacks', 1, 2, HvStatus.InvalidParameter],
    ['hardware HVPT', 1, 4, HvStatus.InvalidParameter],
    ['VTL1', 1, 0, HvStatus.Success],
    ['VTL1 with MBEC', 1, 1, HvStatus.Success],
  ])('of a partition: %s', (_name, vtl, flags, status) => {
    expect(new VsmGuest().enablePartitionVtl(vtl, flags)).toBe(status);
  });

  it('of a partition: for itself alone, once, and only if the host agrees', () => {
    const guest = new VsmGuest();
    expect(guest.call(HvCallCode.EnablePartitionVtl, new Input(16).u64(0, 7n).u8(8, 1)).status).toBe(HvStatus.InvalidPartitionId);
    guest.machine.hostStatus.set(0x0d, HvStatus.InsufficientMemory);
    expect(guest.enablePartitionVtl()).toBe(HvStatus.InsufficientMemory);
    guest.machine.hostStatus.set(0x0d, HvStatus.Success);
    expect(guest.enablePartitionVtl()).toBe(HvStatus.Success);
    expect(guest.enablePartitionVtl()).toBe(HvStatus.VtlAlreadyEnabled);
  });

  it('of a VP: not before the partition has it; from VTL0 for the own VP only, and only as the first', () => {
    const guest = new VsmGuest({ vps: 3 });
    expect(guest.enableVpVtl(0)).toBe(HvStatus.InvalidVtlState);
    guest.enablePartitionVtl();
    expect(guest.enableVpVtl(3)).toBe(HvStatus.InvalidVpIndex);
    expect(guest.enableVpVtl(1)).toBe(HvStatus.AccessDenied);
    expect(guest.enableVpVtl(0)).toBe(HvStatus.Success);
    expect(guest.enableVpVtl(0)).toBe(HvStatus.AccessDenied);
    expect(guest.enableVpVtl(1, 0n, { vp: 1 })).toBe(HvStatus.AccessDenied);
    guest.round();
    expect(guest.enableVpVtl(0, 0n, { vtl: 1 })).toBe(HvStatus.VtlAlreadyEnabled);
    expect(guest.enableVpVtl(1, 0n, { vtl: 1 })).toBe(HvStatus.Success);
  });

  it('of a VP: VTL2 is no guest VTL, and the host may refuse', () => {
    const guest = new VsmGuest();
    guest.enablePartitionVtl();
    expect(guest.call(HvCallCode.EnableVpVtl, new Input(240).u64(0, SELF).u8(12, 2)).status).toBe(HvStatus.InvalidParameter);
    guest.machine.hostStatus.set(0x0f, HvStatus.InvalidVpState);
    expect(guest.enableVpVtl(0)).toBe(HvStatus.InvalidVpState);
    guest.machine.hostStatus.set(0x0f, HvStatus.Success);
    expect(guest.enableVpVtl(0)).toBe(HvStatus.Success);
  });

  it('takes effect in the next round of the VP it is for: its context becomes VTL1\'s start state, and VTL0 goes on', () => {
    const guest = new VsmGuest();
    guest.enablePartitionVtl();
    guest.enableVpVtl(0, 0x12_3456n);
    expect(guest.machine.takeLog()).toEqual(['initialize 0']);
    expect(guest.switchVtl(HvCallCode.VtlCall, 0)).toBe(false);
    guest.machine.recording.registers(1).gpr[3] = 0x33n;
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining(['initialize 1', 'before 0']));
    const initial = guest.machine.recording.initial[1]!;
    expect(initial).toMatchObject({ rip: 0x12_3456n, cr0: 0x80000011n, cr3: 0x5000n, cr4: 0x20n, efer: 0xd01n, pat: 0x0007040600070406n, gdtr: { base: 0x6000n, limit: 0x7f } });
    expect(initial.segments[1]).toEqual({ selector: 8, attributes: 0xa09b, limit: 0, base: 0n });
    // General registers other than RSP stay as they are (openvmm set_x86_vp_context).
    expect([initial.gpr[Gpr.Rsp], initial.gpr[3]]).toEqual([0x7000n, 0x33n]);
  });
});

describe('VTL call and return (TLFS 15.6 and 15.7)', () => {
  it('a call enters VTL1 and says so in its assist page; a return gives RAX and RCX of VTL0 from there', () => {
    const guest = new VsmGuest().withVtl1();
    expect(guest.switchVtl(HvCallCode.VtlCall, 0)).toBe(true);
    expect(entryReason(guest)).toBe(HvVtlEntryReason.VtlCall);
    expect(guest.paravisor.vps[0]!.activeVtl).toBe(1);
    expect(guest.machine.takeLog()).toEqual(['switch 0 1']);
    guest.round();
    expect(guest.machine.takeLog()).toContain('before 1');

    guest.machine.memory.bytes.set([0x11], ASSIST + 16);
    guest.machine.memory.bytes.set([0x22], ASSIST + 24);
    expect(guest.switchVtl(HvCallCode.VtlReturn, 1)).toBe(true);
    expect(guest.machine.takeLog()).toEqual(['switch 1 0']);
    const { gpr } = guest.machine.recording.registers(0);
    expect([gpr[Gpr.Rax], gpr[Gpr.Rcx]]).toEqual([0x11n, 0x22n]);
    guest.round();
    expect(guest.machine.takeLog()).toContain('before 0');
  });

  it('a fast return leaves RAX and RCX alone', () => {
    const guest = new VsmGuest().withVtl1();
    guest.switchVtl(HvCallCode.VtlCall, 0);
    guest.machine.memory.bytes.fill(0x77, ASSIST + 16, ASSIST + 32);
    guest.switchVtl(HvCallCode.VtlReturn, 1, 1n);
    const { gpr } = guest.machine.recording.registers(0);
    expect([gpr[Gpr.Rax], gpr[Gpr.Rcx]]).toEqual([0n, BigInt(HvCallCode.VtlCall)]);
    expect(guest.paravisor.vps[0]!.activeVtl).toBe(0);
  });

  it.each([
    ['a call with an input', HvCallCode.VtlCall, 0, 1n],
    ['a call from VTL1', HvCallCode.VtlCall, 1, 0n],
    ['a return from VTL0', HvCallCode.VtlReturn, 0, 0n],
    ['a return with an input above 1', HvCallCode.VtlReturn, 1, 2n],
    ['a return with a high input', HvCallCode.VtlReturn, 1, 1n << 32n],
  ])('%s is #UD', (_name, code, vtl, input) => {
    const guest = new VsmGuest().withVtl1();
    expect(guest.switchVtl(code, vtl, input)).toBe(false);
    expect(guest.machine.takeLog()).toEqual([`exception ${vtl} 6 -1`]);
    expect(guest.paravisor.vps[0]!.activeVtl).toBe(0);
  });

  it('a call is #UD on a VP without VTL1', () => {
    const guest = new VsmGuest();
    expect(guest.switchVtl(HvCallCode.VtlCall, 0)).toBe(false);
  });
});

describe('interrupts between VTLs (TLFS 15.11 and 15.12; openvmm cvm_handle_cross_vtl_interrupts)', () => {
  it('one for VTL1 pre-empts VTL0, whatever RFLAGS.IF of VTL1, and the entry reason says so', () => {
    const guest = new VsmGuest().withVtl1();
    guest.machine.recording.registers(1).rflags = 2;
    guest.paravisor.vps[0]!.requestInterrupt(1, 0, VECTOR, false);
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining([`offer 1 ${VECTOR}`, 'switch 0 1', 'before 1']));
    expect(entryReason(guest)).toBe(HvVtlEntryReason.Interrupt);
  });

  it("a timer of VTL1 pre-empts VTL0 in the round that finds it due, and VTL1's deadline is asked for before VTL0's", () => {
    const guest = new VsmGuest().withVtl1();
    const stimer = (vtl: number, due: bigint): void => {
      guest.write(HvMsr.Stimer0Count, due, vtl);
      guest.write(HvMsr.Stimer0Config, BigInt(StimerConfig.Enabled | StimerConfig.DirectMode | (VECTOR << StimerConfig.ApicVectorShift)), vtl);
    };
    stimer(1, 9_000n);
    stimer(0, 20_000n);
    guest.round();
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('update'))).toEqual(['update 0 9000', 'update 0 20000']);
    guest.machine.vp.tsc = 9_000n * 200n + 1n;
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining(['switch 0 1', 'before 1']));
  });

  it('one for VTL0 while VTL1 runs does not switch; VINA tells VTL1 by its vector, and the round is repeated', () => {
    const guest = new VsmGuest().withVtl1(VINA);
    guest.switchVtl(HvCallCode.VtlCall, 0);
    guest.machine.takeLog();
    guest.paravisor.vps[0]!.requestInterrupt(0, 0, VECTOR, false);
    guest.round();
    const log = guest.machine.takeLog();
    expect(log.filter((entry) => entry === 'clear').length).toBe(2);
    expect(log.slice(log.lastIndexOf('clear'))).toEqual(['clear', 'pending events 1', `offer 1 ${VINA}`, `offer 0 ${VECTOR}`, 'cancel timer', 'before 1', 'after 1 0']);
    expect(vinaFlag(guest)).toBe(1);
  });

  it('VINA is asserted once: a second round does not ask again, until the flag in the assist page is cleared', () => {
    const guest = new VsmGuest().withVtl1(VINA);
    const vp = guest.paravisor.vps[0]!;
    guest.switchVtl(HvCallCode.VtlCall, 0);
    vp.requestInterrupt(0, 0, VECTOR, false);
    guest.round();
    vp.apic(1).acknowledge(VINA);
    vp.apic(1).lazyEoi();
    guest.machine.takeLog();
    guest.round();
    expect(guest.machine.takeLog().filter((entry) => entry === 'clear').length).toBe(1);
    guest.machine.memory.bytes[ASSIST + 12] = 0;
    guest.round();
    expect(guest.machine.takeLog()).toContain(`offer 1 ${VINA}`);
  });

  it('VTL return takes the assertion back when VINA resets by itself', () => {
    const guest = new VsmGuest().withVtl1(VINA);
    guest.switchVtl(HvCallCode.VtlCall, 0);
    guest.paravisor.vps[0]!.requestInterrupt(0, 0, VECTOR, false);
    guest.round();
    guest.switchVtl(HvCallCode.VtlReturn, 1);
    expect(vinaFlag(guest)).toBe(0);
  });

  it('and keeps it when it does not', () => {
    const guest = new VsmGuest().withVtl1(VINA);
    guest.setRegister(HvVpRegister.VsmVina, 1, BigInt(VINA | (1 << 8)));
    guest.switchVtl(HvCallCode.VtlCall, 0);
    guest.paravisor.vps[0]!.requestInterrupt(0, 0, VECTOR, false);
    guest.round();
    guest.switchVtl(HvCallCode.VtlReturn, 1);
    expect(vinaFlag(guest)).toBe(1);
  });

  it.each([
    ['VINA is off', 0, 0x202],
    ['VTL0 has interrupts disabled', VINA, 2],
  ])('nothing is announced while %s', (_name, vina, rflags) => {
    const guest = new VsmGuest().withVtl1(vina);
    guest.switchVtl(HvCallCode.VtlCall, 0);
    guest.machine.recording.registers(0).rflags = rflags;
    guest.paravisor.vps[0]!.requestInterrupt(0, 0, VECTOR, false);
    guest.machine.takeLog();
    guest.round();
    expect(guest.machine.takeLog().filter((entry) => entry === 'clear').length).toBe(1);
    expect(vinaFlag(guest)).toBe(0);
  });

  it('a pre-empted VTL0 whose interrupt waits: the same round asserts VINA in VTL1', () => {
    const guest = new VsmGuest().withVtl1(VINA);
    const vp = guest.paravisor.vps[0]!;
    vp.requestInterrupt(0, 0, VECTOR, false);
    vp.requestInterrupt(1, 0, VECTOR + 1, false);
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining(['switch 0 1', `offer 1 ${VINA}`, 'before 1']));
    expect(vinaFlag(guest)).toBe(1);
  });

  it('what is staged while VTLs switch is taken by the round that follows', () => {
    const guest = new VsmGuest().withVtl1();
    const vp = guest.paravisor.vps[0]!;
    vp.prepare();
    vp.requestInterrupt(0, 0, VECTOR, false);
    expect(guest.machine.vp.cancelled).toBe(true);
    guest.switchVtl(HvCallCode.VtlCall, 0);
    vp.complete(0);
    guest.machine.takeLog();
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining([`offer 0 ${VECTOR}`, 'before 1']));
    guest.switchVtl(HvCallCode.VtlReturn, 1);
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining([`offer 0 ${VECTOR}`, 'before 0']));
  });
});

describe('registers by hypercall (TLFS 7.8; openvmm get_vp_register, set_vp_register)', () => {
  it('tells where the code of VTL call and return is in the hypercall page, and what VSM can', () => {
    const guest = new VsmGuest();
    expect(guest.getRegister(HvVpRegister.VsmCodePageOffsets, 0, { vtl: 0 })).toBe(BigInt(0x0f | (0x26 << 12)));
    expect(guest.getRegister(HvVpRegister.VsmCapabilities, 0, { vtl: 0 })).toBe(1n << 17n);
  });

  it('gives VTL1 the processor registers of VTL0', () => {
    const guest = new VsmGuest().withVtl1();
    const vtl0 = guest.machine.recording.registers(0);
    vtl0.gpr[3] = 0x1234n;
    vtl0.rip = 0x20_0000n;
    vtl0.cr3 = 0x8000n;
    expect(guest.getRegister(HvVpRegister.Rax + 3, 0)).toBe(0x1234n);
    expect(guest.getRegister(HvVpRegister.Rip, 0)).toBe(0x20_0000n);
    expect(guest.getRegister(HvVpRegister.Cr3, 0)).toBe(0x8000n);
    expect(guest.setRegister(HvVpRegister.Rip, 0, 0x21_0000n)).toBe(0);
    expect(guest.setRegister(HvVpRegister.Rflags, 0, 0x46n)).toBe(0);
    expect(guest.setRegister(HvVpRegister.Lstar, 0, 0x99n)).toBe(0);
    expect([vtl0.rip, vtl0.rflags, vtl0.msrs.get(0xc0000082)]).toEqual([0x21_0000n, 0x46, 0x99n]);
  });

  it('gives segments and descriptor tables in the form of the TLFS', () => {
    const guest = new VsmGuest().withVtl1();
    guest.getRegister(HvVpRegister.Es + 1, 0);
    const view = new DataView(guest.machine.memory.bytes.buffer, guest.machine.memory.bytes.byteOffset + 0x9000);
    expect([view.getUint32(8, true), view.getUint16(12, true), view.getUint16(14, true)]).toEqual([0xffffffff, 8, 0xa09b]);
    guest.machine.recording.registers(0).tables[0]!.limit = 0x7f;
    guest.getRegister(HvVpRegister.Gdtr, 0);
    expect([view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true)]).toEqual([0, 0, 0x7f]);
  });

  it.each([
    ['a VTL its own processor registers', HvVpRegister.Rip, 1, 1, HvStatus.AccessDenied],
    ['VTL0 those of VTL1', HvVpRegister.Rip, 1, 0, HvStatus.AccessDenied],
    ['anybody VINA of VTL0', HvVpRegister.VsmVina, 0, 1, HvStatus.InvalidParameter],
    ['VTL0 the secure configuration', HvVpRegister.VsmVpSecureConfigVtl0, 0, 0, HvStatus.AccessDenied],
    ['the status of a VP\'s VTLs, which openvmm does not give either', HvVpRegister.VsmVpStatus, 1, 1, HvStatus.InvalidParameter],
    ['the status of the partition\'s VTLs, likewise', HvVpRegister.VsmPartitionStatus, 1, 1, HvStatus.InvalidParameter],
    ['a register that cannot be read', HvVpRegister.VsmPartitionConfig, 1, 1, HvStatus.InvalidParameter],
    ['a register nobody knows', 0x12345678, 0, 1, HvStatus.InvalidParameter],
  ])('does not give %s', (_name, name, target, vtl, status) => {
    expect(new VsmGuest().withVtl1().getRegister(name, target, { vtl })).toEqual({ status });
  });

  it('counts the registers done before the one that fails', () => {
    const guest = new VsmGuest().withVtl1();
    const input = new Input(28).u64(0, SELF).u32(8, 0).u8(12, 0x10).u32(16, HvVpRegister.Rip).u32(20, 0x12345678).u32(24, HvVpRegister.Rip);
    expect(guest.call(HvCallCode.GetVpRegisters, input, { vtl: 1, reps: 3 })).toMatchObject({ status: HvStatus.InvalidParameter, reps: 1 });
  });

  it('is about the calling VP and this partition alone', () => {
    const guest = new VsmGuest({ vps: 2 }).withVtl1();
    const input = (partition: bigint, vp: number, inputVtl = 0): Input => new Input(48).u64(0, partition).u32(8, vp).u8(12, inputVtl).u32(16, HvVpRegister.VsmCapabilities);
    const get = (value: Input): number => guest.call(HvCallCode.GetVpRegisters, value, { vtl: 1, reps: 1 }).status;
    const set = (value: Input): number => guest.call(HvCallCode.SetVpRegisters, value, { vtl: 1, reps: 1 }).status;
    expect([get(input(7n, 0)), get(input(SELF, 1)), get(input(SELF, 0, 0x20)), get(input(SELF, 0, 0x13))]).toEqual([6, 6, 5, 5]);
    expect([set(input(7n, 0)), set(input(SELF, 1)), set(input(SELF, 0))]).toEqual([HvStatus.AccessDenied, HvStatus.InvalidVpIndex, HvStatus.InvalidParameter]);
    expect(get(input(SELF, 0))).toBe(0);
  });

  it('reaches SINTs, timers and the assist page of a VTL, which the MSRs show', () => {
    const guest = new VsmGuest().withVtl1();
    expect(guest.setRegister(HvVpRegister.Sint0 + 2, 0, 0x10050n)).toBe(0);
    expect(guest.setRegister(HvVpRegister.Stimer0Config + 1, 0, 77n)).toBe(0);
    expect([guest.read(HvMsr.Sint0 + 2), guest.read(HvMsr.Stimer0Count)]).toEqual([0x10050n, 77n]);
    expect(guest.getRegister(HvVpRegister.VpAssistPage, 1)).toBe(BigInt(ASSIST | 1));
    expect(guest.setRegister(HvVpRegister.VpAssistPage, 1, 2n)).toBe(HvStatus.InvalidRegisterValue);
    expect(guest.setRegister(HvVpRegister.Scontrol + 1, 0, 1n)).toBe(HvStatus.InvalidParameter);
  });

  it('lets the APIC base be written only as it is, and CR8 be the class of the task priority', () => {
    const guest = new VsmGuest().withVtl1();
    expect(guest.setRegister(HvVpRegister.ApicBase, 0, 0xfee00d00n)).toBe(0);
    expect(guest.setRegister(HvVpRegister.ApicBase, 0, 0xfee00900n)).toBe(HvStatus.InvalidParameter);
    expect(guest.setRegister(HvVpRegister.Cr8, 0, 16n)).toBe(HvStatus.InvalidRegisterValue);
    expect(guest.setRegister(HvVpRegister.Cr8, 0, 9n)).toBe(0);
    expect([guest.read(HvMsr.Tpr), guest.getRegister(HvVpRegister.Cr8, 0)]).toEqual([0x90n, 9n]);
  });

  it('protections of VTL0: read and write at least, never changed once set, and forbidding start-ups of VPs', () => {
    const { DefaultProtectionShift: shift, EnableVtlProtection: enable } = VsmPartitionConfig;
    const guest = new VsmGuest().withVtl1();
    const configure = (value: number): number => guest.setRegister(HvVpRegister.VsmPartitionConfig, 1, BigInt(value));
    expect(guest.setRegister(HvVpRegister.VsmPartitionConfig, 0, 0n)).toBe(HvStatus.InvalidParameter);
    expect(configure(1 << 7)).toBe(HvStatus.InvalidRegisterValue);
    expect(configure(enable | (1 << shift))).toBe(HvStatus.InvalidRegisterValue);
    expect(configure(enable | (7 << shift))).toBe(HvStatus.InvalidRegisterValue);
    expect(configure(enable | (15 << shift))).toBe(0);
    expect(configure(enable | (3 << shift))).toBe(HvStatus.InvalidRegisterValue);
    expect(configure(15 << shift)).toBe(HvStatus.InvalidRegisterValue);
  });

  it('the secure configuration holds the TLB lock, which VTL return releases', () => {
    const guest = new VsmGuest().withVtl1();
    expect(guest.getRegister(HvVpRegister.VsmVpSecureConfigVtl0, 1)).toBe(0n);
    expect(guest.setRegister(HvVpRegister.VsmVpSecureConfigVtl0, 1, 1n)).toBe(HvStatus.InvalidRegisterValue);
    expect(guest.setRegister(HvVpRegister.VsmVpSecureConfigVtl0, 1, 4n)).toBe(HvStatus.InvalidRegisterValue);
    expect(guest.setRegister(HvVpRegister.VsmVpSecureConfigVtl0, 1, 2n)).toBe(0);
    expect(guest.getRegister(HvVpRegister.VsmVpSecureConfigVtl0, 1)).toBe(2n);
    guest.switchVtl(HvCallCode.VtlCall, 0);
    guest.switchVtl(HvCallCode.VtlReturn, 1);
    expect(guest.getRegister(HvVpRegister.VsmVpSecureConfigVtl0, 1)).toBe(0n);
  });
});

describe('exceptions that VTL1 gives VTL0 (TLFS 15.14; openvmm cvm_deliver_exit_pending_event)', () => {
  const event = (vector: number, errorCode?: number): bigint =>
    BigInt(PendingEvent.Pending | (errorCode === undefined ? 0 : PendingEvent.DeliverErrorCode) | (vector << PendingEvent.VectorShift)) | (BigInt(errorCode ?? 0) << 32n);

  it('wait until VTL0 runs again, are injected once, and end a halt', () => {
    const guest = new VsmGuest().withVtl1();
    guest.machine.recording.context.handlers.halt(0);
    guest.switchVtl(HvCallCode.VtlCall, 0);
    expect(guest.setRegister(HvVpRegister.PendingEvent0, 0, event(13, 0x18))).toBe(0);
    guest.machine.takeLog();
    guest.round();
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('exception'))).toEqual([]);
    guest.switchVtl(HvCallCode.VtlReturn, 1);
    guest.round();
    expect(guest.machine.takeLog()).toEqual(expect.arrayContaining(['exception 0 13 24', 'before 0']));
    guest.round();
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('exception'))).toEqual([]);
  });

  it.each([
    ['a page fault over a page fault', 14, event(14, 2), 'exception 0 8 0'],
    ['a contributory one over a page fault', 14, event(13, 2), 'exception 0 8 0'],
    ['two contributory ones', 10, event(0), 'exception 0 8 0'],
    ['a page fault over a contributory one', 13, event(14, 2), 'exception 0 14 2'],
    ['a benign one over another', 1, event(3), 'exception 0 3 -1'],
  ])('%s', (_name, queued, value, injected) => {
    const guest = new VsmGuest().withVtl1();
    guest.machine.recording.queuedVector = queued;
    guest.setRegister(HvVpRegister.PendingEvent0, 0, value);
    guest.round();
    expect(guest.machine.takeLog()).toContain(injected);
  });

  it.each([
    ['an interrupt', event(13) | 2n],
    ['an exception one maker has', event(20)],
    ['a vector above them', event(0x50)],
    ['an error code where there is none', event(3, 0)],
  ])('%s is refused', (_name, value) => {
    expect(new VsmGuest().withVtl1().setRegister(HvVpRegister.PendingEvent0, 0, value)).toBe(HvStatus.InvalidRegisterValue);
  });

  it('is for a higher VTL to give, and to take back', () => {
    const guest = new VsmGuest().withVtl1();
    expect(guest.setRegister(HvVpRegister.PendingEvent0, 0, event(13, 0), { vtl: 0 })).toBe(HvStatus.InvalidParameter);
    guest.setRegister(HvVpRegister.PendingEvent0, 0, event(13, 0));
    guest.setRegister(HvVpRegister.PendingEvent0, 0, 0n);
    guest.round();
    expect(guest.machine.takeLog().filter((entry) => entry.startsWith('exception'))).toEqual([]);
  });
});
