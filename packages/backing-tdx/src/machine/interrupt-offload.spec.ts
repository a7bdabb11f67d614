import { ApicRegister, OffloadFlag, RunFlag, TdxStatus, VmxExit, viewTdxRunPage } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { InterruptOffload } from './interrupt-offload.js';

const VPS = 4;
const SELF = 1;
const Gpr = { rax: 0, rcx: 1, rdx: 2 } as const;

let page: ReturnType<typeof viewTdxRunPage>;
let irr: (vector: number) => boolean;
let log: string[];
let offload: InterruptOffload;

beforeEach(() => {
  page = viewTdxRunPage(new Uint8Array(4096));
  const apicPage = new Uint8Array(4096);
  irr = (vector) => (new Int32Array(apicPage.buffer)[(ApicRegister.Irr0 + (vector >>> 5)) * 4]! & (1 << (vector & 31))) !== 0;
  log = [];
  offload = new InterruptOffload(page, apicPage, {
    vp: SELF,
    vpCount: VPS,
    clearInterruptShadow: () => void log.push('shadow'),
    proxyInterrupt: (vp, vector) => void log.push(`${vp}:${vector}`),
    interrupt: (vps) => void log.push(`interrupt ${vps.join(' ')}`),
  });
  page.offloadFlags = OffloadFlag.IntrInject | OffloadFlag.X2apic;
  page.context.gprList.rip.setParts(0x1000, 0);
  page.context.exitInfo.r11.setParts(0, 2);
});

function exit(reason: number, status = 0): boolean {
  page.context.exitInfo.rax.setParts(reason, status);
  return offload.finish();
}
const proxy = (vector: number): void => {
  page.proxyIrr[vector >>> 5]! |= 1 << (vector & 31);
  page.scanProxyIrr = 1;
};
const rip = (): number => page.context.gprList.rip.lo;

describe('exits the driver finishes with the offload on (mshv_vtl)', () => {
  it.each([TdxStatus.L2ExitPendingInterrupt, TdxStatus.PendingInterrupt])('status 0x%s, an interrupt for VTL2', (status) => {
    expect(exit(VmxExit.ExternalInterrupt, status)).toBe(true);
    expect(rip()).toBe(0x1000);
  });

  it('status 0x1100 goes to user mode, and so does every other exit', () => {
    expect(exit(VmxExit.ExternalInterrupt, TdxStatus.L2ExitHostRoutedAsync)).toBe(false);
    for (const reason of [VmxExit.Cpuid, VmxExit.MsrRead, VmxExit.MsrWrite, VmxExit.EptViolation, VmxExit.InterruptWindow]) expect(exit(reason)).toBe(false);
  });

  it('HLT: the shadow is cleared, RIP goes over it, the VP is marked halted, and rax is left as "never entered"', () => {
    expect(exit(VmxExit.Hlt)).toBe(true);
    expect([log, rip(), page.flags & RunFlag.Halted, page.offloadFlags & (OffloadFlag.HaltHlt | OffloadFlag.HaltIdle)]).toEqual([['shadow'], 0x1002, RunFlag.Halted, OffloadFlag.HaltHlt]);
    expect([page.context.exitInfo.rax.lo, page.context.exitInfo.rax.hi]).toEqual([0, TdxStatus.PendingInterrupt]);
  });

  it('a read of the guest-idle MSR likewise, as idle', () => {
    page.context.gprList.gpr[Gpr.rcx]!.setParts(0x400000f0, 0);
    expect(exit(VmxExit.MsrRead)).toBe(true);
    expect([rip(), page.flags & RunFlag.Halted, page.offloadFlags & (OffloadFlag.HaltHlt | OffloadFlag.HaltIdle)]).toEqual([0x1002, RunFlag.Halted, OffloadFlag.HaltIdle]);
  });

  it('nothing without the flag', () => {
    page.offloadFlags = 0;
    for (const [reason, status] of [[VmxExit.Hlt, 0], [VmxExit.ExternalInterrupt, TdxStatus.L2ExitPendingInterrupt]] as const) expect(exit(reason, status)).toBe(false);
  });

  it('hazard: whether an event was cut off is asked of bit 63 of r10, in the error code, and not of the valid bit 31: an event is dropped', () => {
    page.context.exitInfo.r10.setParts((0x80000000 | 0x50) | 0, 0);
    expect(exit(VmxExit.ExternalInterrupt, TdxStatus.L2ExitPendingInterrupt)).toBe(true);
    page.context.exitInfo.r10.setParts(0, 0x80000000 | 0);
    expect(exit(VmxExit.Hlt)).toBe(false);
  });
});

describe('ICR writes the driver finishes', () => {
  function icr(low: number, destination = 0, msr = 0x830): boolean {
    page.context.gprList.gpr[Gpr.rcx]!.setParts(msr, 0);
    page.context.gprList.gpr[Gpr.rax]!.setParts(low, 0);
    page.context.gprList.gpr[Gpr.rdx]!.setParts(destination, 0);
    return exit(VmxExit.MsrWrite);
  }

  it.each<[name: string, low: number, destination: number, log: string[]]>([
    ['a physical destination', 0x4050, 2, ['2:80', 'interrupt 2']],
    ['itself', 0x4050, SELF, ['1:80']],
    ['the shorthand for itself', 0x44050, 0, ['1:80']],
    ['everybody', 0x84050, 0, ['0:80', '1:80', '2:80', '3:80', 'interrupt 0 2 3']],
    ['everybody by the destination', 0x4050, -1, ['0:80', '1:80', '2:80', '3:80', 'interrupt 0 2 3']],
    ['everybody else', 0xc4050, 0, ['0:80', '2:80', '3:80', 'interrupt 0 2 3']],
    ['a logical set', 0x4850, 0b1001, ['3:80', '0:80', 'interrupt 3 0']],
  ])('fixed and edge-triggered, to %s: a vector in each run page, and one call to the host for the others', (_, low, destination, expected) => {
    expect(icr(low, destination)).toBe(true);
    expect(log).toEqual(expected);
    expect(rip()).toBe(0x1002);
  });

  it('by the Hyper-V MSR too', () => {
    expect(icr(0x4050, 2, 0x40000071)).toBe(true);
  });

  it.each([
    ['an NMI', 0x4450, 2],
    ['a level-triggered one', 0xc050, 2],
    ['one for an APIC that is not there', 0x4050, VPS],
    ['a logical set with one that is not there', 0x4850, 0x11],
  ])('%s goes to user mode, and nothing is sent', (_, low, destination) => {
    expect(icr(low, destination)).toBe(false);
    expect([log, rip()]).toEqual([[], 0x1000]);
  });

  it('none without the x2APIC flag', () => {
    page.offloadFlags = OffloadFlag.IntrInject;
    expect(icr(0x4050, 2)).toBe(false);
  });
});

describe('interrupts that others put into the run page', () => {
  it('go into IRR, RVI is the highest, and a halt ends', () => {
    page.flags = RunFlag.Halted;
    page.offloadFlags |= OffloadFlag.HaltHlt;
    proxy(0x31);
    proxy(0x80);
    expect(offload.pullProxiedInterrupts()).toBe(false);
    expect([irr(0x31), irr(0x80), page.context.gprList.rvi, page.scanProxyIrr, page.flags, page.offloadFlags & OffloadFlag.HaltHlt]).toEqual([true, true, 0x80, 0, 0, 0]);
  });

  it('leave a halt alone that is of another kind', () => {
    page.flags = RunFlag.Halted;
    page.offloadFlags |= OffloadFlag.HaltOther;
    proxy(0x31);
    offload.pullProxiedInterrupts();
    expect(page.flags).toBe(RunFlag.Halted);
  });

  it('an RVI that waits already ends a halt whatever RFLAGS.IF and TPR say', () => {
    proxy(0x31);
    offload.pullProxiedInterrupts();
    page.context.gprList.rflags.setParts(2, 0);
    exit(VmxExit.Hlt);
    offload.pullProxiedInterrupts();
    expect(page.flags & RunFlag.Halted).toBe(0);
  });

  it('with one in the exit mask the whole bank stays, and later banks with it; earlier ones are taken', () => {
    page.proxyIrrExitMask[2] = 1;
    proxy(0x31);
    proxy(0x40);
    proxy(0x80);
    expect(offload.pullProxiedInterrupts()).toBe(true);
    expect([irr(0x31), irr(0x40), irr(0x80), page.scanProxyIrr]).toEqual([true, false, false, 1]);
    expect([page.proxyIrr[2], page.proxyIrr[4]]).toEqual([1, 1]);
  });

  it('without the offload any of them is user mode’s', () => {
    page.offloadFlags = 0;
    proxy(0x31);
    expect(offload.pullProxiedInterrupts()).toBe(true);
    expect([irr(0x31), page.scanProxyIrr]).toEqual([false, 1]);
  });
});
