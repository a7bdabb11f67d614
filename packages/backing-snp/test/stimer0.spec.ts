/** The driver's part in the hand-off of STIMER0 (openvmm PR 4224; OHCL-Linux-Kernel PR 156), below the paravisor: tests act as user mode. */
import { HvMsr, RunStatus, StimerConfig, Stimer0Flag, SvmExit, U64, VIntr, u64ToNumber, viewSnpRunPage } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { CODE, GuestProgram, HANDLERS } from './guest-program.js';

const { ConfigValid, KernelUpdate, Expired } = Stimer0Flag;
const AUTO_ENABLE = StimerConfig.AutoEnable | StimerConfig.DirectMode | (0x50 << StimerConfig.ApicVectorShift);
const HLT = 0xf4;
const SPIN = [0xeb, 0xfe];
/** 100 ns in ticks of the 2 GHz machine. */
const TICKS_PER_100NS = 200;
const MILLISECOND = 10_000;

const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
/** mov ecx, msr; mov eax, low; mov edx, high; wrmsr */
const wrmsr = (msr: number, value: number): number[] => [0xb9, ...u32(msr), 0xb8, ...u32(value), 0xba, ...u32(Math.floor(value / 2 ** 32)), 0x0f, 0x30];
const WRMSR_BYTES = 17;
const writeCount = (count: number): number[] => wrmsr(HvMsr.Stimer0Count, count);

/** A program whose driver has been given STIMER0's config. */
function start(code: readonly number[], config: number = AUTO_ENABLE, handlers: Readonly<Record<number, readonly number[]>> = {}) {
  const guest = new GuestProgram(code, handlers);
  const page = viewSnpRunPage(guest.hcl.runPage);
  page.context.stimer0Config.set(U64.of(config));
  page.context.stimer0Flags = ConfigValid;
  return { guest, page, context: page.context };
}

describe('the driver takes a write of STIMER0_COUNT', () => {
  it('as a paravisor exit without a user exit: it finishes the instruction and goes round', () => {
    const { guest, context } = start([...writeCount(50 * MILLISECOND), HLT]);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.rip).toBe(CODE + WRMSR_BYTES + 1);
    expect(guest.exits.paravisor).toEqual({ msr_write: 1, hlt: 1 });
    expect(guest.exits.user).toEqual({ hlt: 1 });
    expect(guest.exits.hypervisor).toEqual({ vmpl_switch: 4, timer_arm: 1 });
    expect(u64ToNumber(context.stimer0Count)).toBe(50 * MILLISECOND);
    expect(context.stimer0Flags).toBe(ConfigValid | KernelUpdate);
  });

  it('keeps the reference time of the write', () => {
    const { guest, context } = start([...writeCount(50 * MILLISECOND), HLT]);
    guest.run();
    const written = u64ToNumber(context.stimer0ProgrammedRefTime) * TICKS_PER_100NS;
    expect(written).toBeGreaterThan(guest.machine.costs.ticks.vmplSwitch);
    expect(written).toBeLessThan(guest.machine.now);
  });

  it('keeps the last of two writes', () => {
    const { guest, context } = start([...writeCount(50 * MILLISECOND), ...writeCount(2 ** 40), HLT]);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(u64ToNumber(context.stimer0Count)).toBe(2 ** 40);
    expect(guest.exits.user).toEqual({ hlt: 1 });
  });

  it('leaves an interrupt that is on offer there: the guest takes it without user mode', () => {
    const { guest } = start([...writeCount(50 * MILLISECOND), 0xfb, 0x90, ...SPIN], AUTO_ENABLE, { 0x51: [0xfa, HLT] });
    guest.vmsa.vIntrCntrl.setParts(VIntr.Irq | (5 << VIntr.PriorityShift), guest.vmsa.vIntrCntrl.hi | 0x51);
    expect(guest.run()).toBe(SvmExit.Hlt);
    expect(guest.rip).toBe(HANDLERS + 16 * 0x51 + 2);
    expect(guest.exits.user).toEqual({ hlt: 1 });
  });

  it('ends the shadow of the instruction before', () => {
    const { guest } = start([0xfb, ...writeCount(50 * MILLISECOND), HLT]);
    guest.run();
    expect(guest.vmsa.vIntrCntrl.lo & VIntr.Shadow).toBe(0);
  });

  it.each([
    ['enabled, one-shot', StimerConfig.Enabled],
    ['auto-enable, periodic, by message', StimerConfig.AutoEnable | StimerConfig.Periodic],
  ])('whose config is %s', (_name, config) => {
    const { guest } = start([...writeCount(50 * MILLISECOND), HLT], config);
    expect(guest.run()).toBe(SvmExit.Hlt);
  });
});

describe('its timer', () => {
  it.each([
    ['one-shot: at the count', AUTO_ENABLE, MILLISECOND],
    ['periodic: a count after the write', AUTO_ENABLE | StimerConfig.Periodic, MILLISECOND + 100],
  ])('wakes VTL2 %s, with the flag and `cancel`', (_name, config, expected) => {
    const { guest, page, context } = start([0xb9, ...u32(2000), 0xe2, 0xfe, ...writeCount(MILLISECOND), ...SPIN], config);
    expect(guest.run()).toBe(SvmExit.Intr);
    expect(context.stimer0Flags).toBe(ConfigValid | KernelUpdate | Expired);
    expect(page.cancel).toBe(1);
    expect(guest.exits.paravisor).toEqual({ msr_write: 1, intr: 1 });
    expect(guest.exits.user).toEqual({ intr: 1 });
    expect(guest.exits.hypervisor).toEqual({ vmpl_switch: 4, timer_arm: 1, timer_expiry: 1 });
    const wokenAt = guest.machine.now / TICKS_PER_100NS;
    const delay = wokenAt - expected - (config & StimerConfig.Periodic ? u64ToNumber(context.stimer0ProgrammedRefTime) - 100 : 0);
    expect(delay).toBeGreaterThan(0);
    expect(delay).toBeLessThan(100);
  });

  it('expires at once for a count that is reached already: the ioctl returns before the guest goes on', () => {
    const { guest, context } = start([0xb9, ...u32(2000), 0xe2, 0xfe, ...writeCount(1), 0xff, 0xc3, ...SPIN]);
    const { vIntrCntrl } = guest.vmsa;
    vIntrCntrl.setParts(vIntrCntrl.lo, vIntrCntrl.hi & ~VIntr.HighGuestBusy);
    expect(guest.hcl.run()).toBe(RunStatus.Cancelled);
    expect(context.stimer0Flags).toBe(ConfigValid | KernelUpdate | Expired);
    expect(guest.vmsa.rbx.lo).toBe(0);
    expect(guest.exits.user).toEqual({ cancelled: 1 });
  });

  it('is cancelled when the ioctl returns: nothing wakes VTL2 for it later, save the device\'s stale expiry', () => {
    const { guest, page, context } = start([...writeCount(50 * MILLISECOND), 0x0f, 0xa2, ...SPIN]);
    expect(guest.run()).toBe(SvmExit.Cpuid);
    context.stimer0Flags = ConfigValid;
    guest.vmsa.rip.set(guest.vmsa.nextRip);
    expect(guest.run()).toBe(SvmExit.Intr);
    expect(guest.exits.hypervisor.timer_expiry).toBe(1);
    expect([context.stimer0Flags, page.cancel]).toEqual([ConfigValid, 0]);
  });

  it('a later write replaces what an earlier one armed', () => {
    const { guest, context } = start([...writeCount(MILLISECOND), ...writeCount(3 * MILLISECOND), ...SPIN]);
    expect(guest.run()).toBe(SvmExit.Intr);
    expect(context.stimer0Flags & Expired).toBe(Expired);
    expect(guest.machine.now).toBeGreaterThan(3 * MILLISECOND * TICKS_PER_100NS);
  });
});

describe('the driver leaves to user mode', () => {
  it.each<[string, Parameters<typeof start>, ((page: ReturnType<typeof start>['page']) => void)?]>([
    ['a count of zero, which stops the timer', [[...writeCount(0), HLT]]],
    ['a config that the count does not start: neither enabled nor auto-enable', [[...writeCount(MILLISECOND), HLT], StimerConfig.DirectMode]],
    ['the config', [[...wrmsr(HvMsr.Stimer0Config, 0), HLT]]],
    ['the count of another timer', [[...wrmsr(HvMsr.Stimer0Count + 2, MILLISECOND), HLT]]],
    ['reading the count', [[0xb9, ...u32(HvMsr.Stimer0Count), 0x0f, 0x32, HLT]]],
    ['a count whose config was not published', [[...writeCount(MILLISECOND), HLT]], (page) => void (page.context.stimer0Flags = 0)],
  ])('%s', (_name, parameters, prepare) => {
    const { guest, page, context } = start(...parameters);
    prepare?.(page);
    const before = context.stimer0Flags;
    expect(guest.run()).toBe(SvmExit.Msr);
    expect(context.stimer0Flags).toBe(before);
    expect(guest.exits.hypervisor).toEqual({ vmpl_switch: 2 });
  });

  it('a count that VTL1 writes to a STIMER0 of its own, even if the flag of VTL0’s config were left', () => {
    const { guest, context } = start([HLT]);
    guest.enableVtl1(0x6_0000, [...writeCount(MILLISECOND), HLT]);
    expect(guest.run(1)).toBe(SvmExit.Msr);
    expect(context.stimer0Flags).toBe(ConfigValid);
  });
});
