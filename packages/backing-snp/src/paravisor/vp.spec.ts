import { ApicRegister, DeliveryMode, EventInject, RunFlag, RunStatus, SevFeature, SvmExit, U64, VIntr, VmsaSelector, X2APIC_MSR_BASE, u64ToBigInt } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedSnpVp, initialRegisters } from '../../test/scripted-vp.js';

const VECTOR = 0x53;
const EXCEPTION = 3 << EventInject.TypeShift;
const SOFTWARE = 4 << EventInject.TypeShift;

/** Makes VTL0's APIC offer `VECTOR`, as a scan would. */
function offerPending(scripted: ScriptedSnpVp): void {
  const [apic] = scripted.apics;
  apic!.writeMsr(0x1b, U64.of(0xfee00d00n));
  apic!.writeMsr(0x80f, U64.of(0x1ff));
  apic!.stage(DeliveryMode.Fixed, VECTOR, false, false);
  expect(apic!.scan(scripted.vmTime, true).interrupt).toBe(VECTOR);
  scripted.vp.offerInterrupt(0, VECTOR);
}

/** Whether the x2APIC registers from `register` have the bit of `VECTOR`. */
function hasVector({ apics }: ScriptedSnpVp, register: number): boolean {
  const bank = new U64();
  apics[0]!.readMsr(X2APIC_MSR_BASE + register + (VECTOR >> 5), bank);
  return (bank.lo & (1 << (VECTOR & 31))) !== 0;
}

describe('the VMSA a lower VTL starts with (openvmm init_vmsa, APM table 14-1)', () => {
  it('has the features, VMPL2, guest-busy, exit code INTR and EFER.SVME that hardware and paravisor want', () => {
    const { vmsa } = new ScriptedSnpVp();
    expect(vmsa.sevFeatures.lo).toBe(SevFeature.Snp | SevFeature.ReflectVc | SevFeature.DebugSwap | SevFeature.AlternateInjection);
    expect(vmsa.vmpl).toBe(2);
    expect(vmsa.vIntrCntrl.hi).toBe(VIntr.HighGuestBusy);
    expect(vmsa.guestErrorCode.lo).toBe(SvmExit.Intr);
    expect(u64ToBigInt(vmsa.efer)).toBe(initialRegisters.efer | 0x1000n);
    expect(u64ToBigInt(vmsa.xcr0)).toBe(1n);
  });

  it('has the loader\'s registers, segments in the VMCB\'s attribute order', () => {
    const { vmsa, vp } = new ScriptedSnpVp();
    expect(u64ToBigInt(vmsa.rip)).toBe(initialRegisters.rip);
    expect(u64ToBigInt(vmsa.cr3)).toBe(initialRegisters.cr3);
    expect(u64ToBigInt(vmsa.rsi)).toBe(initialRegisters.gpr[6]);
    expect(u64ToBigInt(vmsa.r8to15[7]!)).toBe(initialRegisters.gpr[15]);
    expect(vmsa.selectors[VmsaSelector.Cs]!.attributes).toBe(0xa9b);
    expect(vmsa.selectors[VmsaSelector.Ldtr]!.attributes).toBe(0);
    expect(vmsa.selectors[VmsaSelector.Gdtr]!.limit).toBe(23);
    const segment = { selector: 0, attributes: 0, limit: 0, base: new U64() };
    vp.registers(0).readSegment(1, segment);
    expect(segment).toMatchObject({ selector: 8, attributes: 0xa09b, limit: 0xffffffff });
    vp.registers(0).readSegment(6, segment);
    expect(segment.attributes & 0x10000).toBe(0x10000);
  });

  it('blocks every proxied interrupt until user mode asks for one (run page, proxy_irr_blocked)', () => {
    const { runPage } = new ScriptedSnpVp();
    expect([...runPage.proxyIrrBlocked]).toEqual(Array.from({ length: 8 }, () => 0xffffffff));
  });
});

describe('a run and its exit (openvmm run_vp_snp)', () => {
  it('names the VTL, and the HALTED flag when there is nothing to run', () => {
    const { vp, runPage } = new ScriptedSnpVp();
    vp.beforeRun(1, true);
    expect([runPage.targetVtl, runPage.flags]).toEqual([1, RunFlag.Halted]);
    vp.beforeRun(0, false);
    expect([runPage.targetVtl, runPage.flags]).toEqual([0, 0]);
  });

  it('the VMSA is free for the host during the run only', () => {
    const scripted = new ScriptedSnpVp();
    let busy: number | null = null;
    scripted.round((vmsa) => (busy = vmsa.vIntrCntrl.hi & VIntr.HighGuestBusy));
    expect(busy).toBe(0);
    expect(scripted.vmsa.vIntrCntrl.hi & VIntr.HighGuestBusy).toBe(VIntr.HighGuestBusy);
  });

  it('guest-busy already set on return says that the exit was not an automatic one', () => {
    const scripted = new ScriptedSnpVp();
    scripted.round(() => {});
    expect(scripted.vp.statistics[0]!.guestBusy).toBe(0);
    scripted.round((vmsa) => vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo, vmsa.vIntrCntrl.hi | VIntr.HighGuestBusy));
    expect(scripted.vp.statistics[0]!.guestBusy).toBe(1);
  });

  it('an exit is handled once: its code becomes INTR', () => {
    const scripted = new ScriptedSnpVp();
    scripted.exit(SvmExit.Cpuid);
    expect(scripted.takeLog()).toHaveLength(1);
    expect(scripted.vmsa.guestErrorCode.lo).toBe(SvmExit.Intr);
    scripted.round(() => {});
    expect(scripted.takeLog()).toEqual([]);
  });

  it('a cancelled run handles no exit', () => {
    const scripted = new ScriptedSnpVp();
    scripted.round(() => {}, RunStatus.Cancelled);
    expect(scripted.takeLog()).toEqual([]);
  });
});

describe('an offered interrupt (virtual interrupt control, APM 15.36.16)', () => {
  it('has vector, priority = vector >> 4, IRQ, and obeys TPR', () => {
    const { vp, vmsa } = new ScriptedSnpVp();
    vmsa.vIntrCntrl.setParts(VIntr.IgnoreTpr | 0x7, vmsa.vIntrCntrl.hi);
    vp.offerInterrupt(0, VECTOR);
    expect(vmsa.vIntrCntrl.lo).toBe(VIntr.Irq | ((VECTOR >> 4) << VIntr.PriorityShift) | 0x7);
    expect(vmsa.vIntrCntrl.hi & VIntr.HighVectorMask).toBe(VECTOR);
  });

  it('is acknowledged at the APIC when IRQ was set before the run and is clear after it', () => {
    const scripted = new ScriptedSnpVp();
    offerPending(scripted);
    scripted.round((vmsa) => vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Irq, vmsa.vIntrCntrl.hi));
    expect(hasVector(scripted, ApicRegister.Isr0)).toBe(true);
    expect(hasVector(scripted, ApicRegister.Irr0)).toBe(false);
  });

  it('is withdrawn, not acknowledged, when the guest has not taken it: the next round offers it again', () => {
    const scripted = new ScriptedSnpVp();
    offerPending(scripted);
    scripted.round(() => {});
    expect(scripted.vmsa.vIntrCntrl.lo & VIntr.Irq).toBe(0);
    expect(hasVector(scripted, ApicRegister.Irr0)).toBe(true);
    expect(hasVector(scripted, ApicRegister.Isr0)).toBe(false);
  });

  it('the task priority is CR8, for the APIC as well', () => {
    const { vmsa, apics } = new ScriptedSnpVp();
    const tpr = new U64();
    apics[0]!.writeMsr(0x40000072, U64.of(0x50));
    expect(vmsa.vIntrCntrl.lo & VIntr.TprMask).toBe(5);
    apics[0]!.readMsr(0x40000072, tpr);
    expect(tpr.lo).toBe(0x50);
  });
});

describe('lazy EOI (TLFS "EOI Assist"; openvmm sync_lazy_eoi)', () => {
  const ASSIST_PAGE = 0x1000;
  const takeInterrupt = (vmsa: Vmsa): void => void vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Irq, vmsa.vIntrCntrl.hi);

  function withAssistPage(): ScriptedSnpVp {
    const scripted = new ScriptedSnpVp();
    scripted.assistPages[0]!.writeRegister(U64.of(ASSIST_PAGE | 1));
    offerPending(scripted);
    return scripted;
  }

  it('is offered just before the run; a guest that took its interrupt and cleared the bit needs no exit for its EOI', () => {
    const scripted = withAssistPage();
    scripted.round((vmsa) => {
      expect(scripted.memory.bytes[ASSIST_PAGE]).toBe(1);
      takeInterrupt(vmsa);
      scripted.memory.bytes[ASSIST_PAGE] = 0;
    });
    expect([hasVector(scripted, ApicRegister.Irr0), hasVector(scripted, ApicRegister.Isr0)]).toEqual([false, false]);
  });

  it('is taken back before the exit is looked at: a guest still in its handler makes its EOI at the APIC', () => {
    const scripted = withAssistPage();
    scripted.round(takeInterrupt);
    expect(scripted.memory.bytes[ASSIST_PAGE]).toBe(0);
    expect(hasVector(scripted, ApicRegister.Isr0)).toBe(true);
  });

  it('is offered for what is in service while nothing else is pending', () => {
    const scripted = withAssistPage();
    scripted.round(takeInterrupt);
    scripted.round(() => void (scripted.memory.bytes[ASSIST_PAGE] = 0));
    expect(hasVector(scripted, ApicRegister.Isr0)).toBe(false);
  });

  it('needs an enabled assist page', () => {
    const scripted = new ScriptedSnpVp();
    offerPending(scripted);
    scripted.round(takeInterrupt);
    scripted.round(() => {});
    expect(hasVector(scripted, ApicRegister.Isr0)).toBe(true);
  });
});

describe('events (event injection, APM 15.20)', () => {
  it('an exception carries its error code; an NMI is vector 2 of type 2', () => {
    const { vp, vmsa } = new ScriptedSnpVp();
    vp.injectException(0, 13, 0x10);
    expect([vmsa.eventInject.lo, vmsa.eventInject.hi]).toEqual([EventInject.Valid | EventInject.ErrorCodeValid | EXCEPTION | 13, 0x10]);
    vp.injectException(0, 6, -1);
    expect([vmsa.eventInject.lo, vmsa.eventInject.hi]).toEqual([EventInject.Valid | EXCEPTION | 6, 0]);
    vp.offerNmi(0);
    expect(vmsa.eventInject.lo).toBe(EventInject.Valid | (2 << EventInject.TypeShift) | 2);
  });

  it('hazard: an NMI of the same round replaces an interrupt that an exit cut off: it stays in service at the APIC, and is never handled', () => {
    const scripted = new ScriptedSnpVp();
    offerPending(scripted);
    scripted.round((vmsa) => {
      vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Irq, vmsa.vIntrCntrl.hi);
      vmsa.exitIntInfo.setParts(EventInject.Valid | VECTOR, 0);
    });
    expect(scripted.vmsa.eventInject.lo).toBe(EventInject.Valid | VECTOR);
    scripted.vp.offerNmi(0);
    expect(scripted.vmsa.eventInject.lo & EventInject.VectorMask).toBe(2);
    expect([hasVector(scripted, ApicRegister.Irr0), hasVector(scripted, ApicRegister.Isr0)]).toEqual([false, true]);
  });

  it.each([
    ['an external interrupt', 0x40, true],
    ['an exception with an error code', EXCEPTION | EventInject.ErrorCodeValid | 14, true],
    ['INT3', EXCEPTION | 3, false],
    ['INTO', EXCEPTION | 4, false],
    ['INT n', SOFTWARE | 0x80, false],
  ])('%s cut off by an exit: injected again is %s for %s', (_name, info, again) => {
    const scripted = new ScriptedSnpVp();
    scripted.round((vmsa) => vmsa.exitIntInfo.setParts(EventInject.Valid | info, 0xb));
    const expected = again ? [EventInject.Valid | info, 0xb] : [0, 0];
    expect([scripted.vmsa.eventInject.lo, scripted.vmsa.eventInject.hi]).toEqual(expected);
    expect(scripted.vmsa.exitIntInfo.lo).toBe(0);
  });
});
