/** Where the reference's local APIC loses, delays or repeats a timer or an interrupt: kept as it is, and listed in docs/conformance.md. */
import { ApicRegister, HvMsr, MSR_APIC_BASE, U64 } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { ManualClock } from '../conformance/manual-clock.js';
import { silentTimerObserver } from '../contract/observer.js';
import { Synic } from '../synic/index.js';
import { VmTimeAccess } from '../time/index.js';
import { LocalApicSet } from './ipi.js';
import { LocalApic } from './local-apic.js';

const VECTOR = 0x40;
const MASKED = 0x10000;
const DIVIDE_BY_1 = 0b1011;
const SOFTWARE_ENABLED = 0x1ff;

let clock: ManualClock;
let vmTime: VmTimeAccess;
let woken: number[];
let set: LocalApicSet;
let apic: LocalApic;

beforeEach(() => {
  clock = new ManualClock();
  vmTime = new VmTimeAccess(clock);
  woken = [];
  set = new LocalApicSet({ wake: (vp) => void woken.push(vp) });
  apic = makeApic(0);
  wrmsr(MSR_APIC_BASE, 0xfee00d00n);
  x2apicWrite(ApicRegister.Svr, SOFTWARE_ENABLED);
});

function makeApic(vp: number): LocalApic {
  return new LocalApic({ vp, vtl: 0, apicId: vp, set, vmTime, x2apicCapable: true, observer: silentTimerObserver });
}

const at = (vmTime100ns: number | bigint): void => void clock.time.setBigInt(BigInt.asUintN(64, BigInt(vmTime100ns) * 100n));
const wrmsr = (msr: number, value: number | bigint): void => void apic.writeMsr(msr, U64.of(value));
const x2apicWrite = (register: number, value: number): void => wrmsr(0x800 + register, value);
const scan = (): number => apic.scan(vmTime, true).interrupt;

/** One-shot, due at VmTime 100. */
function arm(lvt = VECTOR): void {
  x2apicWrite(ApicRegister.LvtTimer, lvt);
  x2apicWrite(ApicRegister.TimerDivide, DIVIDE_BY_1);
  x2apicWrite(ApicRegister.TimerInitialCount, 2_000);
}

describe('hazards of the reference: the APIC timer (openvmm virt_support_apic)', () => {
  it('hazard: masking the timer just after its due time drops the interrupt that hardware would have latched', () => {
    arm();
    at(101);
    x2apicWrite(ApicRegister.LvtTimer, VECTOR | MASKED);
    expect(scan()).toBe(-1);
    x2apicWrite(ApicRegister.LvtTimer, VECTOR);
    expect(scan()).toBe(-1);
  });

  it('hazard: unmasking it then delivers an expiry that was masked when it came', () => {
    arm(VECTOR | MASKED);
    at(101);
    x2apicWrite(ApicRegister.LvtTimer, VECTOR);
    expect(scan()).toBe(VECTOR);
  });

  it('hazard: a new count written just after the due time loses the expiry before it; a divider written then does not', () => {
    arm();
    at(101);
    x2apicWrite(ApicRegister.TimerInitialCount, 2_000);
    expect(scan()).toBe(-1);
    at(202);
    x2apicWrite(ApicRegister.TimerDivide, 0);
    expect(scan()).toBe(VECTOR);
  });

  it('hazard: a timer that expired when its count was read asks for a look at its old due time once more', () => {
    arm();
    at(100);
    apic.readMsr(0x839, new U64());
    expect(scan()).toBe(VECTOR);
    vmTime.cancelTimeout();
    scan();
    expect(vmTime.hasTimeout).toBe(true);
    at(101);
    vmTime.cancelTimeout();
    scan();
    expect(vmTime.hasTimeout).toBe(false);
  });

  it('hazard: after 2^64 ns without a look the time that has passed starts over, and a timer long due has not come', () => {
    arm();
    const wrap = (1n << 64n) / 100n + 1n;
    vmTime.resume(U64.of(wrap), new U64());
    expect(scan()).toBe(-1);
    const count = new U64();
    apic.readMsr(0x839, count);
    expect(count.toNumber()).toBeGreaterThan(1_900);
  });
});

describe('hazards of the reference: requests', () => {
  it('hazard: a synthetic timer that comes due while the local APIC is software-disabled is spent, its interrupt dropped', () => {
    const synic = new Synic({ vp: 0, vtl: 0, memory: new FlatMemory(0x2000), interrupts: apic, observer: silentTimerObserver });
    synic.writeMsr(HvMsr.Stimer0Config, U64.of(1 | (1 << 12) | (VECTOR << 4)));
    synic.writeMsr(HvMsr.Stimer0Count, U64.of(100));
    x2apicWrite(ApicRegister.Svr, 0xff);
    synic.scan(U64.of(100));
    x2apicWrite(ApicRegister.Svr, SOFTWARE_ENABLED);
    synic.scan(U64.of(200));
    expect([scan(), synic.hasNextDue, woken]).toEqual([-1, false, []]);
  });

  it('hazard: a direct-mode timer with a vector below 16 is spent silently', () => {
    apic.requestSynicInterrupt(15, false);
    expect([scan(), woken]).toEqual([-1, []]);
  });

  it('hazard: one auto-EOI vector forbids offload for every later request of its bank of 32, until IRR is empty', () => {
    apic.requestSynicInterrupt(0x41, true);
    scan();
    apic.acknowledge(0x41);
    expect(apic.requests.activeAutoEoi).toBe(false);
    apic.requestSynicInterrupt(0x5f, false);
    scan();
    expect(apic.requests.activeAutoEoi).toBe(true);
    apic.acknowledge(0x5f);
    apic.requestSynicInterrupt(0x60, false);
    scan();
    expect(apic.requests.activeAutoEoi).toBe(false);
  });

  it('hazard: once one APIC is in x2APIC mode, a logical destination of an xAPIC is read as an x2APIC one, and can reach nobody', () => {
    apic = makeApic(1);
    const sendToLogical = (id: number): number[] => {
      woken = [];
      apic.writeMmio(0xfee00310, 4, U64.of(id * 0x1000000));
      apic.writeMmio(0xfee00300, 4, U64.of(0x4800 | VECTOR));
      return woken;
    };
    apic.writeMmio(0xfee000f0, 4, U64.of(SOFTWARE_ENABLED));
    apic.writeMmio(0xfee000d0, 4, U64.of(0x80000000));
    // APIC 0 has been in x2APIC mode from the start of this test. The flat LDR 0x80 of APIC 1 does not count; bit 1 is its x2APIC logical id.
    expect(sendToLogical(0x80)).toEqual([]);
    expect(sendToLogical(0x02)).toEqual([1]);
  });
});
