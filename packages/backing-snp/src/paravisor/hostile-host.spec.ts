/** What the untrusted host can do around a run, and what comes of it: all of it is counted, and none of it ends the VP (openvmm `run_vp_snp`). */
import { HvMessageType, RunStatus, SvmExit, VIntr, u64ToBigInt } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedSnpVp, initialRegisters } from '../../test/scripted-vp.js';

const APIC_PAGE = 0xfee00000;

/** A run that ends with `code`, and with a message of the host of `type` about `gpa`. */
function exitWithMessage(scripted: ScriptedSnpVp, code: number, type: number, gpa = 0): void {
  scripted.round((vmsa) => {
    vmsa.guestErrorCode.setParts(code, 0);
    vmsa.exitInfo2.setParts(APIC_PAGE, 0);
    vmsa.nextRip.setParts(vmsa.rip.lo + 2, vmsa.rip.hi);
    scripted.hcl.interceptMessagePresent = true;
    scripted.exitMessage.message.type = type;
    scripted.exitMessage.memory.guestPhysicalAddress.setParts(gpa, 0);
  });
}
const spurious = ({ vp }: ScriptedSnpVp): number => vp.statistics[0]!.syntheticIntercepts;

describe('a host that sends nonsense', () => {
  it.each([HvMessageType.GpaIntercept, HvMessageType.TimerExpired, 0, 0xffffffff])('a message of type %d with an exit that asks for none is counted, and the exit is handled as ever', (type) => {
    const scripted = new ScriptedSnpVp();
    exitWithMessage(scripted, SvmExit.Cpuid, type);
    expect(scripted.takeLog()).toHaveLength(1);
    expect(u64ToBigInt(scripted.vmsa.rip)).toBe(initialRegisters.rip + 2n);
    expect(spurious(scripted)).toBe(1);
  });

  it('a message with an exit that was none, too', () => {
    const scripted = new ScriptedSnpVp();
    exitWithMessage(scripted, SvmExit.Intr, HvMessageType.UnmappedGpa, APIC_PAGE);
    expect([scripted.takeLog(), spurious(scripted)]).toEqual([[], 1]);
  });

  it('a nested page fault with a message about another page is not emulated; the message counts as one that nobody asked for', () => {
    const scripted = new ScriptedSnpVp();
    exitWithMessage(scripted, SvmExit.Npf, HvMessageType.UnmappedGpa, APIC_PAGE + 0x1000);
    expect([scripted.takeLog(), spurious(scripted)]).toEqual([[], 1]);
  });

  it('a message that the exit explains counts for nothing more', () => {
    const scripted = new ScriptedSnpVp();
    exitWithMessage(scripted, SvmExit.Npf, HvMessageType.UnmappedGpa, APIC_PAGE);
    expect([scripted.takeLog(), spurious(scripted)]).toEqual([['mmio fee00000'], 0]);
  });

  it('a message left over in a run that was cancelled is not looked at', () => {
    const scripted = new ScriptedSnpVp();
    scripted.round((vmsa) => {
      vmsa.guestErrorCode.setParts(SvmExit.Npf, 0);
      vmsa.exitInfo2.setParts(APIC_PAGE, 0);
      scripted.hcl.interceptMessagePresent = true;
      scripted.exitMessage.message.type = HvMessageType.UnmappedGpa;
      scripted.exitMessage.memory.guestPhysicalAddress.setParts(APIC_PAGE, 0);
    }, RunStatus.Cancelled);
    expect([scripted.takeLog(), spurious(scripted)]).toEqual([[], 0]);
  });
});

describe('a host that does not run the VMSA', () => {
  const everything = ({ vIntrCntrl, ...vmsa }: Vmsa) => ({ rip: u64ToBigInt(vmsa.rip), rax: u64ToBigInt(vmsa.rax), code: vmsa.guestErrorCode.lo, tpr: vIntrCntrl.lo });

  it('leaves the guest where it was, however often: nothing is handled twice', () => {
    const scripted = new ScriptedSnpVp();
    scripted.exit(SvmExit.Cpuid);
    scripted.takeLog();
    const before = everything(scripted.vmsa);
    for (let round = 0; round < 3; round++) scripted.round(() => {});
    expect(everything(scripted.vmsa)).toEqual(before);
    expect(scripted.takeLog()).toEqual([]);
  });

  it('an interrupt that was on offer is offered again, not acknowledged; a queued event stays queued', () => {
    const scripted = new ScriptedSnpVp();
    const { vp, vmsa } = scripted;
    vp.offerInterrupt(0, 0x53);
    vp.injectException(0, 13, 0x10);
    const queued = vmsa.eventInject.lo;
    scripted.round(() => {});
    expect([vmsa.vIntrCntrl.lo & VIntr.Irq, vmsa.eventInject.lo, vp.statistics[0]!.interruptsAcknowledged]).toEqual([0, queued, 0]);
  });

  it('a VMSA that comes back busy without an exit is counted, and the next run frees it again', () => {
    const scripted = new ScriptedSnpVp();
    scripted.round((vmsa) => vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo, vmsa.vIntrCntrl.hi | VIntr.HighGuestBusy));
    expect([scripted.takeLog(), scripted.vp.statistics[0]!.guestBusy]).toEqual([[], 1]);
    let busy = -1;
    scripted.round((vmsa) => (busy = vmsa.vIntrCntrl.hi & VIntr.HighGuestBusy));
    expect(busy).toBe(0);
  });
});
