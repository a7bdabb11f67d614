import { InterruptionInfo, Interruptibility, ProcessorControl, U64, VmcsField, VmxExit } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedTdxVp } from '../../test/scripted-vp.js';

const VECTOR = 0x50;
const external = (vector: number): number => InterruptionInfo.Valid | vector;
const NMI = InterruptionInfo.Valid | (2 << InterruptionInfo.TypeShift) | 2;
const exception = (vector: number, flags = 0): number => InterruptionInfo.Valid | (3 << InterruptionInfo.TypeShift) | vector | flags;
const unsigned = (info: number): bigint => BigInt(info >>> 0);

/** A VP with interrupts on whose APIC has `VECTOR` pending. */
function start(): ScriptedTdxVp {
  const scripted = new ScriptedTdxVp();
  scripted.vp.registers(0).writeRflags(0x202);
  const apic = scripted.apics[0]!;
  apic.writeMsr(0x1b, new U64().setParts(0xfee00d00 | 0, 0));
  apic.writeMsr(0x80f, new U64().setParts(0x1ff, 0));
  apic.requestSynicInterrupt(VECTOR, false);
  return scripted;
}
/** The vector the APIC has to offer. */
const scan = ({ apics, vmTime }: ScriptedTdxVp): number => apics[0]!.scan(vmTime, true).interrupt;
function offer(scripted: ScriptedTdxVp): void {
  scripted.vp.deliverPendingEvents(0);
  const vector = scan(scripted);
  if (vector >= 0) scripted.vp.offerInterrupt(0, vector);
}
/** What the next entry injects, and which windows it asks for. */
function entry({ vp, hcl }: ScriptedTdxVp): readonly [injection: bigint, windows: bigint] {
  vp.beforeRun(0, false);
  return [hcl.vmcs(VmcsField.EntryInterruptInfo), hcl.vmcs(VmcsField.ProcessorControls) & BigInt(ProcessorControl.InterruptWindow | ProcessorControl.NmiWindow)];
}
const WINDOW = { interrupt: BigInt(ProcessorControl.InterruptWindow), nmi: BigInt(ProcessorControl.NmiWindow) };

describe('an interrupt offered to a TDX guest (openvmm `handle_interrupt`, APIC not offloaded)', () => {
  it('is acknowledged when an exit shows that it was delivered, not when the entry is asked for it', () => {
    const scripted = start();
    offer(scripted);
    expect(entry(scripted)[0]).toBe(unsigned(external(VECTOR)));
    expect(scan(scripted)).toBe(VECTOR);
    scripted.uneventful();
    expect(scan(scripted)).toBe(-1);
  });

  it('is not acknowledged when its own delivery was cut off, and is offered again', () => {
    const scripted = start();
    offer(scripted);
    scripted.exit(VmxExit.TimerExpired, { idtVectoring: [external(VECTOR), 0] });
    expect(scan(scripted)).toBe(VECTOR);
    offer(scripted);
    expect(entry(scripted)[0]).toBe(unsigned(external(VECTOR)));
  });

  it('counts as delivered when an exception of its handler was cut off: the types differ', () => {
    const scripted = start();
    offer(scripted);
    scripted.exit(VmxExit.TimerExpired, { idtVectoring: [exception(14, InterruptionInfo.ErrorCodeValid), 2] });
    expect(scan(scripted)).toBe(-1);
    expect(entry(scripted)[0]).toBe(unsigned(exception(14, InterruptionInfo.ErrorCodeValid)));
    expect(scripted.hcl.vmcs(VmcsField.EntryExceptionErrorCode)).toBe(2n);
  });

  it('gives way to a higher one that came while the first could not be entered', () => {
    const scripted = start();
    offer(scripted);
    scripted.exit(0, { status: 0x1120 });
    scripted.apics[0]!.requestSynicInterrupt(0x90, false);
    offer(scripted);
    expect(entry(scripted)[0]).toBe(unsigned(external(0x90)));
  });

  it.each([
    ['RFLAGS.IF is clear', 2, 0],
    ['STI shadows the instruction', 0x202, Interruptibility.BlockedBySti],
    ['MOV SS shadows the instruction', 0x202, Interruptibility.BlockedByMovSs],
  ])('waits for an interrupt window while %s', (_name, rflags, interruptibility) => {
    const scripted = start();
    scripted.vp.registers(0).writeRflags(rflags);
    scripted.hcl.setVmcs(VmcsField.Interruptibility, BigInt(interruptibility));
    scripted.uneventful();
    offer(scripted);
    expect(entry(scripted)).toEqual([0n, WINDOW.interrupt]);
  });

  it('waits behind an exception that is queued', () => {
    const scripted = start();
    scripted.vp.injectException(0, 6, -1);
    offer(scripted);
    expect(entry(scripted)).toEqual([unsigned(exception(6)), WINDOW.interrupt]);
  });
});

describe('an NMI offered to a TDX guest (openvmm `handle_nmi`)', () => {
  it('is injected once, and goes before an interrupt', () => {
    const scripted = start();
    offer(scripted);
    scripted.vp.offerNmi(0);
    expect(entry(scripted)).toEqual([unsigned(NMI), WINDOW.interrupt]);
    scripted.uneventful();
    scripted.vp.deliverPendingEvents(0);
    expect(entry(scripted)).toEqual([2n | BigInt(2 << InterruptionInfo.TypeShift), 0n]);
  });

  it('stays pending when its delivery was cut off', () => {
    const scripted = start();
    scripted.vp.offerNmi(0);
    scripted.exit(VmxExit.TimerExpired, { idtVectoring: [NMI, 0] });
    expect(entry(scripted)[0]).toBe(unsigned(NMI));
  });

  it('waits for an NMI window while the guest handles one', () => {
    const scripted = start();
    scripted.hcl.setVmcs(VmcsField.Interruptibility, BigInt(Interruptibility.BlockedByNmi));
    scripted.uneventful();
    scripted.vp.offerNmi(0);
    expect(entry(scripted)).toEqual([0n, WINDOW.nmi]);
  });
});

describe('an event that an exit cut off', () => {
  it.each([
    ['an exception', exception(6), 0, 0],
    ['INT n, with its length', InterruptionInfo.Valid | (4 << InterruptionInfo.TypeShift) | 0x80, 0, 2],
    ['INT3, with its length', InterruptionInfo.Valid | (6 << InterruptionInfo.TypeShift) | 3, 0, 1],
  ])('%s, is injected again', (_name, info, errorCode, length) => {
    const scripted = start();
    scripted.exit(VmxExit.TimerExpired, { idtVectoring: [info, errorCode], length });
    expect(entry(scripted)[0]).toBe(unsigned(info));
    if (length !== 0) expect(scripted.hcl.vmcs(VmcsField.EntryInstructionLength)).toBe(BigInt(length));
  });

  it('is replaced by an exception that handling the exit raises', () => {
    const scripted = start();
    scripted.handlers.readMsr = () => 1;
    scripted.exit(VmxExit.MsrRead, { idtVectoring: [exception(6), 0] });
    expect(entry(scripted)[0] & 0xffn).toBe(13n);
  });
});
