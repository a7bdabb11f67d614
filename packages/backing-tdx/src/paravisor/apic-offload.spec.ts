import { ApicRegister, HvMsr, OffloadFlag, SecondaryControl, U64, VmcsField } from '@paravisor/hcl-protocol';
import { OffloadResult } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { l2MsrBitmapClass, vpFieldHigh } from '../abi/index.js';
import { ScriptedTdxVp } from '../../test/scripted-vp.js';

const VECTOR = 0x50;
const RUN_PAGE_GPR_LIST = 512;

/** A VP whose offloaded APIC is enabled in x2APIC mode. */
function start(): ScriptedTdxVp {
  const scripted = new ScriptedTdxVp({ ...ScriptedTdxVp.settings, offload: true });
  const apic = scripted.apics[0]!;
  apic.writeMsr(0x1b, new U64().setParts(0xfee00d00 | 0, 0));
  apic.writeMsr(0x80f, new U64().setParts(0x1ff, 0));
  return scripted;
}
/** A round's look at the APIC: what it has to offer, and what became of the offload. */
function poll({ vp, apics, vmTime }: ScriptedTdxVp): { readonly result: OffloadResult; readonly interrupt: number } {
  const work = apics[0]!.scan(vmTime, true);
  return { result: vp.offloadApic(0), interrupt: work.interrupt };
}
const words = ({ hcl }: ScriptedTdxVp): Int32Array => new Int32Array(hcl.apicPage.buffer);
const has = (scripted: ScriptedTdxVp, first: number, vector: number): boolean => (words(scripted)[(first + (vector >>> 5)) * 4]! & (1 << (vector & 31))) !== 0;
const put = (scripted: ScriptedTdxVp, first: number, vector: number): void => void (words(scripted)[(first + (vector >>> 5)) * 4]! |= 1 << (vector & 31));
/** RVI of the next entry. */
function rvi(scripted: ScriptedTdxVp): number {
  scripted.vp.beforeRun(0, false);
  return scripted.hcl.runPage[RUN_PAGE_GPR_LIST + 152]!;
}
const bitmapWord = ({ hcl }: ScriptedTdxVp, word: number): bigint => hcl.fields.get(`${vpFieldHigh(l2MsrBitmapClass(1), 3)}:${word}`)!;

describe('the APIC of VTL0, offloaded (openvmm `poll_apic` of the TDX backing)', () => {
  it('hands what waits to the page, with RVI the top request', () => {
    const scripted = start();
    expect(poll(scripted)).toEqual({ result: OffloadResult.Idle, interrupt: -1 });
    for (const vector of [0x31, VECTOR]) scripted.apics[0]!.requestSynicInterrupt(vector, false);
    expect(poll(scripted)).toEqual({ result: OffloadResult.Pending, interrupt: -1 });
    expect([has(scripted, ApicRegister.Irr0, VECTOR), has(scripted, ApicRegister.Irr0, 0x31), rvi(scripted)]).toEqual([true, true, VECTOR]);
  });

  it('lets task priority, EOI and self-IPI through, and asks for virtual-interrupt delivery', () => {
    const scripted = start();
    for (const word of [32, 256 + 32]) expect(BigInt.asUintN(64, ~bitmapWord(scripted, word))).toBe((1n << 8n) | (1n << 11n) | (1n << 63n));
    expect(scripted.hcl.vmcs(VmcsField.SecondaryControls) & BigInt(SecondaryControl.VirtualInterruptDelivery)).not.toBe(0n);
  });

  it('EOI-exit bitmaps and the driver’s exit mask are the level-triggered vectors', () => {
    const scripted = start();
    scripted.apics[0]!.stage(0, VECTOR, true, false);
    poll(scripted);
    expect(scripted.hcl.vmcs(VmcsField.EoiExitBitmap1)).toBe(1n << BigInt(VECTOR - 64));
    expect(scripted.page.proxyIrrExitMask[2]).toBe(1 << (VECTOR - 64));
    scripted.apics[0]!.requestProxied(Uint32Array.of(0, 0, 1 << (VECTOR - 64), 0, 0, 0, 0, 0));
    poll(scripted);
    expect(scripted.hcl.vmcs(VmcsField.EoiExitBitmap1)).toBe(0n);
    expect(scripted.page.proxyIrrExitMask[2]).toBe(0);
  });

  it('reading IRR or ISR, and an EOI in user mode, pull the page’s state, which is pushed again', () => {
    const scripted = start();
    const apic = scripted.apics[0]!;
    put(scripted, ApicRegister.Irr0, VECTOR);
    put(scripted, ApicRegister.Isr0, 0x61);
    const value = new U64();
    apic.readMsr(0x822, value);
    expect([value.lo, has(scripted, ApicRegister.Irr0, VECTOR)]).toEqual([1 << (VECTOR - 64), false]);
    apic.readMsr(0x813, value);
    expect(value.lo).toBe(1 << (0x61 - 96));
    poll(scripted);
    expect([has(scripted, ApicRegister.Irr0, VECTOR), has(scripted, ApicRegister.Isr0, 0x61)]).toEqual([true, true]);
    apic.writeMsr(HvMsr.Eoi, new U64());
    poll(scripted);
    expect([has(scripted, ApicRegister.Irr0, VECTOR), has(scripted, ApicRegister.Isr0, 0x61)]).toEqual([true, false]);
  });

  it('an auto-EOI request ends it for good: the APIC offers again, and the registers exit', () => {
    const scripted = start();
    put(scripted, ApicRegister.Irr0, 0x31);
    scripted.apics[0]!.requestSynicInterrupt(VECTOR, true);
    expect(poll(scripted)).toEqual({ result: OffloadResult.NotOffloaded, interrupt: VECTOR });
    expect(has(scripted, ApicRegister.Irr0, 0x31)).toBe(false);
    expect(bitmapWord(scripted, 32)).toBe(2n ** 64n - 1n);
    expect(scripted.hcl.vmcs(VmcsField.SecondaryControls) & BigInt(SecondaryControl.VirtualInterruptDelivery)).toBe(0n);
    expect(poll(scripted).result).toBe(OffloadResult.NotOffloaded);
  });

  it('offload flags say what the driver may finish, and why the VP is halted', () => {
    const scripted = start();
    const flags = (halted: boolean): number => {
      scripted.vp.beforeRun(0, halted);
      return scripted.page.offloadFlags;
    };
    const on = OffloadFlag.IntrInject | OffloadFlag.X2apic;
    expect(flags(false)).toBe(on);
    // Halted without an exit that says why: before a start-up IPI.
    expect(flags(true)).toBe(on | OffloadFlag.HaltOther);
    scripted.exit(12, { length: 1 });
    expect(flags(true)).toBe(on | OffloadFlag.HaltHlt);
    scripted.apics[0]!.writeMsr(0x80f, new U64().setParts(0xff, 0));
    expect(flags(true)).toBe(OffloadFlag.HaltHlt);
  });

  it('what the driver began or ended is taken over', () => {
    const scripted = start();
    const run = (flag: number) => scripted.round(() => void (scripted.page.offloadFlags |= flag), 1);
    run(OffloadFlag.HaltIdle);
    run(OffloadFlag.HaltHlt);
    run(0);
    expect(scripted.takeLog()).toEqual(['activity 0 2', 'activity 0 1']);
    scripted.vp.beforeRun(0, true);
    scripted.page.offloadFlags &= ~OffloadFlag.HaltOther;
    scripted.vp.afterRun(0, 1);
    expect(scripted.takeLog()).toEqual([]);
  });
});
