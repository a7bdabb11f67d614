import { ApicRegister, DeliveryMode, EventInject, U64, VIntr, u64ToBigInt, viewVmsa, vmsaLayout } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedSnpVp } from '../../test/scripted-vp.js';

const RFLAGS_IF = 1 << 9;
const VECTOR = 0x53;

/** A VP with both VTLs enabled, and VTL1's VMSA. */
function start() {
  const scripted = new ScriptedSnpVp();
  scripted.vp.initialize(1, scripted.registers);
  return { scripted, vp: scripted.vp, vtl0: scripted.vmsa, vtl1: viewVmsa(scripted.hcl.vmsaPages[1]) };
}

describe('VTL1 of an SNP VP (openvmm `SnpBacked`)', () => {
  it('has a VMSA of its own in VMPL1, guest-busy until it runs', () => {
    const { vtl0, vtl1 } = start();
    expect([vtl0.vmpl, vtl1.vmpl]).toEqual([2, 1]);
    expect(vtl1.vIntrCntrl.hi).toBe(VIntr.HighGuestBusy);
  });

  it('runs with its own busy bit: the other VTL stays out of the host\'s reach', () => {
    const { vp, vtl0, vtl1 } = start();
    vp.beforeRun(1, false);
    expect([vtl0.vIntrCntrl.hi & VIntr.HighGuestBusy, vtl1.vIntrCntrl.hi & VIntr.HighGuestBusy]).toEqual([VIntr.HighGuestBusy, 0]);
    vp.afterRun(1, 0);
    expect(vtl1.vIntrCntrl.hi & VIntr.HighGuestBusy).toBe(VIntr.HighGuestBusy);
  });

  it('is acknowledged at its own APIC', () => {
    const { scripted, vp, vtl0, vtl1 } = start();
    const apic = scripted.apics[1]!;
    apic.writeMsr(0x1b, U64.of(0xfee00d00n));
    apic.writeMsr(0x80f, U64.of(0x1ff));
    apic.stage(DeliveryMode.Fixed, VECTOR, false, false);
    expect(apic.scan(scripted.vmTime, true).interrupt).toBe(VECTOR);
    vp.offerInterrupt(1, VECTOR);
    expect(vtl0.vIntrCntrl.lo & VIntr.Irq).toBe(0);
    vp.beforeRun(1, false);
    vtl1.vIntrCntrl.setParts(vtl1.vIntrCntrl.lo & ~VIntr.Irq, vtl1.vIntrCntrl.hi);
    vp.afterRun(1, 0);
    const bank = new U64();
    apic.readMsr(0x800 + ApicRegister.Isr0 + (VECTOR >> 5), bank);
    expect(bank.lo).toBe(1 << (VECTOR & 31));
    expect(vp.statistics.map(({ interruptsAcknowledged }) => interruptsAcknowledged)).toEqual([0, 1]);
  });

  it('opens guest RAM to VMPL1 with the first VP whose VTL1 is enabled, once', () => {
    const scripted = new ScriptedSnpVp(0x3000);
    expect(scripted.takePages()).toEqual(['VMPL2 0 15', 'VMPL2 1000 15', 'VMPL2 2000 15']);
    scripted.vp.initialize(1, scripted.registers);
    expect(scripted.takePages()).toEqual(['VMPL1 0 15', 'VMPL1 1000 15', 'VMPL1 2000 15']);
    scripted.vp.initialize(1, scripted.registers);
    scripted.vp.initialize(0, scripted.registers);
    expect(scripted.takePages()).toEqual([]);
  });

  it('a driver that refuses a page of it ends the VP', () => {
    const scripted = new ScriptedSnpVp(0x1000);
    scripted.hcl.rmpadjust = () => 22;
    scripted.vp.initialize(1, scripted.registers);
    expect(scripted.takeLog()).toEqual(['fatal the driver refused to open guest RAM to VTL1, errno 22']);
  });
});

describe('a switch of VTLs copies what they share (openvmm `switch_vtl`; TLFS 15.11.1)', () => {
  const { fields } = vmsaLayout;
  /** Bytes of a VMSA that a switch copies: [offset, size]. */
  const shared: readonly (readonly [number, number])[] = [
    ...(['rax', 'rcx', 'rdx', 'rbx', 'rbp', 'rsi', 'rdi', 'r8to15', 'cr2', 'xcr0', 'dr0to3', 'plSsp', 'uCet', 'x87Dp', 'mxcsr'] as const),
    ...(['x87Ftw', 'x87Fsw', 'x87Fcw', 'x87Fop', 'x87Ds', 'x87Cs', 'x87Rip', 'x87Registers', 'xmm', 'ymmHigh'] as const),
  ].map((name) => [fields[name].offset, fields[name].size] as const);

  it.each([
    [0, 1],
    [1, 0],
  ] as const)('from VTL%d to VTL%d: general registers save RSP, CR2, XCR0, DR0 to DR3, shadow stacks, x87, SSE; and nothing else', (from, to) => {
    const { scripted, vp } = start();
    const [source, target] = [scripted.hcl.vmsaPages[from], scripted.hcl.vmsaPages[to]];
    source.fill(0xa5);
    target.fill(0x5a);
    const expected = target.slice();
    for (const [offset, size] of shared) expected.fill(0xa5, offset, offset + size);
    vp.switchVtl(from, to);
    expect(target).toEqual(expected);
    expect(source.every((byte) => byte === 0xa5)).toBe(true);
  });

  it('so RSP, RIP, RFLAGS, CR0, CR3, CR4, EFER, segments and DR6 are each VTL\'s own', () => {
    const copied = (offset: number): boolean => shared.some(([at, size]) => offset >= at && offset < at + size);
    for (const name of ['rsp', 'rip', 'rflags', 'cr0', 'cr3', 'cr4', 'efer', 'dr6', 'dr7', 'selectors', 'kernelGsBase', 'vIntrCntrl', 'eventInject'] as const) {
      expect([name, copied(fields[name].offset)]).toEqual([name, false]);
    }
  });
});

describe('an interrupt that waits for a VTL (openvmm `is_interrupt_pending`)', () => {
  /** VTL1 with `VECTOR` on offer and IF set. */
  function offered() {
    const { scripted, vp, vtl1 } = start();
    vtl1.rflags.setParts(RFLAGS_IF, 0);
    vp.offerInterrupt(1, VECTOR);
    return { scripted, vp, vtl1 };
  }

  it('is one that is on offer above the processor priority', () => {
    const { vp } = offered();
    expect(vp.isInterruptPending(1, true)).toBe(true);
    expect(vp.isInterruptPending(0, true)).toBe(false);
  });

  it('does not when the task priority is as high', () => {
    const { vp, vtl1 } = offered();
    vtl1.vIntrCntrl.setParts(vtl1.vIntrCntrl.lo | 5, vtl1.vIntrCntrl.hi);
    expect(vp.isInterruptPending(1, false)).toBe(false);
  });

  it('does not when one of its class is in service', () => {
    const { scripted, vp } = offered();
    const apic = scripted.apics[1]!;
    apic.writeMsr(0x1b, U64.of(0xfee00d00n));
    apic.writeMsr(0x80f, U64.of(0x1ff));
    apic.stage(DeliveryMode.Fixed, 0x5f, false, false);
    apic.scan(scripted.vmTime, true);
    apic.acknowledge(0x5f);
    expect(vp.isInterruptPending(1, false)).toBe(false);
  });

  it('looks at RFLAGS.IF only when asked to: pre-emption of VTL0 does not ask, VINA does', () => {
    const { vp, vtl1 } = offered();
    vtl1.rflags.setParts(0, 0);
    expect([vp.isInterruptPending(1, false), vp.isInterruptPending(1, true)]).toEqual([true, false]);
  });

  it('is hidden by an interrupt shadow', () => {
    const { vp, vtl1 } = offered();
    vtl1.vIntrCntrl.setParts(vtl1.vIntrCntrl.lo | VIntr.Shadow, vtl1.vIntrCntrl.hi);
    expect(vp.isInterruptPending(1, false)).toBe(false);
  });

  it('an NMI waits whatever else', () => {
    const { vp, vtl1 } = start();
    vp.offerNmi(1);
    expect(vp.isInterruptPending(1, true)).toBe(true);
    vtl1.eventInject.setParts(EventInject.Valid | (3 << EventInject.TypeShift) | 13, 0);
    expect(vp.isInterruptPending(1, true)).toBe(false);
  });

  it('what was offered in an earlier round is withdrawn before this round\'s scan offers (openvmm `poll_apic`)', () => {
    const { vp, vtl1 } = offered();
    vp.offloadApic(1);
    expect(vtl1.vIntrCntrl.lo & VIntr.Irq).toBe(0);
    expect(vp.isInterruptPending(1, false)).toBe(false);
  });
});

describe('a VTL is given a start state again (INIT, start-up IPI, start VP)', () => {
  it('events on their way are dropped, the VMSA is busy, nothing is left to handle, and no processor holds its translations', () => {
    const { scripted, vp, vtl0 } = start();
    vp.injectException(0, 13, 0);
    vp.offerInterrupt(0, VECTOR);
    vtl0.exitIntInfo.setParts(EventInject.Valid | 0x40, 0);
    vtl0.guestErrorCode.setParts(0x7c, 0);
    vtl0.pcpuId.setParts(1, 0);
    vp.initialize(0, { ...scripted.registers, rip: 0n });
    expect([vtl0.eventInject.lo, vtl0.exitIntInfo.lo, vtl0.guestErrorCode.lo, vtl0.pcpuId.lo]).toEqual([0, 0, 0x60, 0]);
    expect([vtl0.vIntrCntrl.lo, vtl0.vIntrCntrl.hi]).toEqual([0, VIntr.HighGuestBusy]);
    expect(u64ToBigInt(vtl0.rip)).toBe(0n);
  });

  it('SYSCALL MSRs, TSC_AUX, XCR0 and SSE registers stay, debug registers and CR2 do not (APM table 14-1, INIT)', () => {
    const { scripted, vp, vtl0 } = start();
    vtl0.lstar.setParts(0x1234, 0);
    vtl0.tscAux = 7;
    vtl0.xcr0.setParts(3, 0);
    vtl0.xmm[4]!.setParts(9, 0);
    vtl0.cr2.setParts(0x5000, 0);
    vtl0.dr0to3[2]!.setParts(0x6000, 0);
    vtl0.dr7.setParts(0x455, 0);
    vp.initialize(0, scripted.registers);
    expect([vtl0.lstar.lo, vtl0.tscAux, vtl0.xcr0.lo, vtl0.xmm[4]!.lo]).toEqual([0x1234, 7, 3, 9]);
    expect([vtl0.cr2.lo, vtl0.dr0to3[2]!.lo, vtl0.dr6.lo >>> 0, vtl0.dr7.lo]).toEqual([0, 0, 0xffff0ff0, 0x400]);
  });

  it('a VTL whose TLB is flushed is no processor\'s any more', () => {
    const { vp, vtl0, vtl1 } = start();
    vtl0.pcpuId.setParts(1, 0);
    vtl1.pcpuId.setParts(1, 0);
    vp.flushTlb(1);
    expect([vtl0.pcpuId.lo, vtl1.pcpuId.lo]).toEqual([1, 0]);
  });
});
