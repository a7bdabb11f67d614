/** Two VMSAs of one VP on the machine: VTL0 in VMPL2, VTL1 in VMPL1. Tests act as user mode. */
import { SvmExit, VIntr, u64ToNumber, viewVmsa } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { RmpPermission } from '../src/abi/index.js';
import { CODE, GuestProgram } from './guest-program.js';

const HLT = 0xf4;
const CPUID = [0x0f, 0xa2];
const VTL1_CODE = 0x6_0000;
const DATA = 0x7_0000;
const VMPL1 = 1;
const VMPL2 = 2;
const { Read, Write, All } = RmpPermission;
const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
/** mov [abs32], eax; mov eax, [abs32] */
const store = (address: number): number[] => [0x89, 0x04, 0x25, ...u32(address)];
const load = (address: number): number[] => [0x8b, 0x04, 0x25, ...u32(address)];
const busy = (guest: GuestProgram, vtl: number): boolean => (viewVmsa(guest.hcl.vmsa(vtl)!).vIntrCntrl.hi & VIntr.HighGuestBusy) !== 0;

describe('the VMSA of `target_vtl` runs (facts §5b)', () => {
  it('each VTL goes on where it was, with its own registers and exits', () => {
    const guest = new GuestProgram([0xb8, 1, 0, 0, 0, HLT, 0xff, 0xc0, HLT]);
    const vtl1 = guest.enableVtl1(VTL1_CODE, [0xb8, 100, 0, 0, 0, ...CPUID]);
    expect(guest.run(0)).toBe(SvmExit.Hlt);
    expect(guest.run(1)).toBe(SvmExit.Cpuid);
    expect(guest.run(0)).toBe(SvmExit.Hlt);
    expect([guest.vmsa.rax.lo, guest.rip, vtl1.rax.lo, vtl1.rip.lo]).toEqual([2, CODE + 9, 100, VTL1_CODE + 5]);
    const of = (vtl: number) => guest.machine.ledger.snapshot({ vtl });
    expect([of(0).byReason.paravisor.hlt, of(1).byReason.paravisor.cpuid]).toEqual([2, 1]);
    expect([of(0).byReason.hypervisor.vmpl_switch, of(1).byReason.hypervisor.vmpl_switch]).toEqual([4, 2]);
  });

  it('each has its own guest-busy: a reflected exit of one leaves the other as it was', () => {
    const guest = new GuestProgram([HLT]);
    guest.enableVtl1(VTL1_CODE, CPUID);
    expect([busy(guest, 0), busy(guest, 1)]).toEqual([true, true]);
    guest.run(0);
    expect([busy(guest, 0), busy(guest, 1)]).toEqual([false, true]);
    guest.run(1);
    expect([busy(guest, 0), busy(guest, 1)]).toEqual([false, true]);
  });

  it('an event queued for one is not the other\'s', () => {
    const guest = new GuestProgram([HLT], { 13: [0xfa, HLT] });
    guest.enableVtl1(VTL1_CODE, [HLT]);
    guest.vmsa.eventInject.setParts(0x80000300 | 13 | 0, 0);
    expect(guest.run(1)).toBe(SvmExit.Hlt);
    expect(guest.vmsa.eventInject.lo).not.toBe(0);
  });
});

describe('permissions of VMPL1 and VMPL2 are apart (APM 15.36.7)', () => {
  it('before guest RAM is opened to VMPL1, VTL1 cannot run there', () => {
    const guest = new GuestProgram([HLT]);
    const vtl1 = guest.enableVtl1(VTL1_CODE, [HLT]);
    expect(guest.run(1)).toBe(SvmExit.Hlt);
    guest.hcl.rmpadjust(VTL1_CODE, VMPL1, 0);
    vtl1.rip.setParts(VTL1_CODE, 0);
    expect(guest.run(1)).toBe(SvmExit.Npf);
    expect(u64ToNumber(vtl1.exitInfo2)).toBe(VTL1_CODE);
  });

  it.each([
    ['closed to VMPL2', 0, load(DATA), SvmExit.Npf],
    ['read-only for VMPL2', Read, store(DATA), SvmExit.Npf],
    ['read-only for VMPL2', Read, load(DATA), SvmExit.Hlt],
    ['writable for VMPL2', Read | Write, store(DATA), SvmExit.Hlt],
  ])('a page %s, permissions %d: VTL0\'s access %j ends with %d, VTL1\'s goes on', (_name, permissions, access, code) => {
    const guest = new GuestProgram([...access, HLT]);
    guest.enableVtl1(VTL1_CODE, [...store(DATA), ...load(DATA), HLT]);
    expect(guest.hcl.rmpadjust(DATA, VMPL2, permissions)).toBe(0);
    expect(guest.run(0)).toBe(code);
    expect(guest.run(1)).toBe(SvmExit.Hlt);
  });

  it('a page closed to VMPL1 stays open to VMPL2', () => {
    const guest = new GuestProgram([...store(DATA), HLT]);
    guest.enableVtl1(VTL1_CODE, [...load(DATA), HLT]);
    guest.hcl.rmpadjust(DATA, VMPL1, 0);
    expect([guest.run(0), guest.run(1)]).toEqual([SvmExit.Hlt, SvmExit.Npf]);
    guest.hcl.rmpadjust(DATA, VMPL1, All);
    expect(guest.run(1)).toBe(SvmExit.Hlt);
  });
});

describe('translations that a processor holds (APM table B-4, TLB_ID and PCPU_ID)', () => {
  /** Writes through a mapping of linear 0xc000_0000 (the last PDPT entry) that the test changes between runs. */
  const LINEAR = 0xc000_0000;
  const PDPT_LAST = 0x2000 + 3 * 8;
  const bigStore = [0x48, 0xbb, ...u32(LINEAR), 0, 0, 0, 0, 0x8b, 0x03, HLT, 0x8b, 0x03, HLT];

  function start() {
    const guest = new GuestProgram(bigStore);
    guest.machine.loadImage(PDPT_LAST, Uint8Array.from(u32(0x83)));
    guest.machine.loadImage(0, Uint8Array.from(u32(0x1111)));
    expect([guest.run(), guest.vmsa.rax.lo]).toEqual([SvmExit.Hlt, 0x1111]);
    // The mapping goes: 3 GiB, where nothing is.
    guest.machine.loadImage(PDPT_LAST, Uint8Array.from(u32(0xc000_0083)));
    return guest;
  }

  it('are used as long as the VMSA names that processor: it is filled in at VMRUN', () => {
    const guest = start();
    expect(guest.vmsa.pcpuId.lo).toBe(1);
    expect(guest.run()).toBe(SvmExit.Hlt);
  });

  it('are flushed at VMRUN when the VMSA names none', () => {
    const guest = start();
    guest.vmsa.pcpuId.setParts(0, 0);
    expect(guest.run()).toBe(SvmExit.Npf);
    expect(u64ToNumber(guest.vmsa.exitInfo2)).toBe(0xc000_0000);
    expect(guest.vmsa.pcpuId.lo).toBe(1);
  });
});
