import { ApicRegister, HvMsr, MSR_APIC_BASE, U64, u64ToNumber } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../conformance/manual-clock.js';
import { MsrStatus } from '../contract/status.js';
import { VmTimeAccess } from '../time/index.js';
import { LocalApicSet } from './ipi.js';
import { LocalApic } from './local-apic.js';

const PAGE = 0xfee00000;
const SOFTWARE_ENABLED = 0x1ff;
const XAPIC = 0xfee00800;
const X2APIC = 0xfee00c00;
const DIVIDE_BY_1 = 0b1011;

let clock: ManualClock;
let vmTime: VmTimeAccess;
let woken: string[];
let events: string[];
let set: LocalApicSet;
let apic: LocalApic;

function makeApic(vp: number, vtl = 0, apicId = vp): LocalApic {
  return new LocalApic({
    vp,
    vtl,
    apicId,
    set,
    vmTime,
    x2apicCapable: true,
    observer: {
      armed: (_, __, source, due) => void events.push(`armed ${source} ${u64ToNumber(due)}`),
      delivered: (_, __, source, due, now) => void events.push(`delivered ${source} ${u64ToNumber(due)} ${u64ToNumber(now)}`),
    },
  });
}

beforeEach(() => {
  clock = new ManualClock();
  vmTime = new VmTimeAccess(clock);
  woken = [];
  events = [];
  set = new LocalApicSet({ wake: (vp, vtl) => void woken.push(`${vp}.${vtl}`) });
  apic = makeApic(0);
});

const at = (vmTime100ns: number): void => void clock.time.setNumber(vmTime100ns * 100);
const wrmsr = (msr: number, value: number | bigint, target = apic): MsrStatus => target.writeMsr(msr, U64.of(value));
const x2apicWrite = (register: number, value: number | bigint, target = apic): MsrStatus => wrmsr(0x800 + register, value, target);
const mmioWrite = (register: number, value: number, size = 4, target = apic): void => target.writeMmio(PAGE + register * 16, size, U64.of(value));

/** The value, or 'gp'. */
function rdmsr(msr: number, target = apic): bigint | 'gp' {
  const out = U64.of(0xdead);
  return target.readMsr(msr, out) === MsrStatus.Ok ? out.toBigInt() : 'gp';
}

function mmioRead(gpa: number, size = 4): bigint {
  const out = U64.of(0xdead);
  apic.readMmio(gpa, size, out);
  return out.toBigInt();
}

function x2apic(target = apic): void {
  wrmsr(MSR_APIC_BASE, BigInt(X2APIC) | (target.vp === 0 ? 0x100n : 0n), target);
  x2apicWrite(ApicRegister.Svr, SOFTWARE_ENABLED, target);
}

/** What a scan offers and takes: the vector, or −1. */
const scan = (scanIrr = true, target = apic): number => target.scan(vmTime, scanIrr).interrupt;

describe('reset (facts of openvmm virt_support_apic)', () => {
  it('is xAPIC mode at 0xfee00000, software-disabled, LVTs masked', () => {
    expect(rdmsr(MSR_APIC_BASE)).toBe(0xfee00900n);
    expect(mmioRead(PAGE + ApicRegister.Version * 16)).toBe(0x50014n);
    expect(mmioRead(PAGE + ApicRegister.Svr * 16)).toBe(0xffn);
    for (const register of [ApicRegister.LvtTimer, ApicRegister.LvtLint0, ApicRegister.LvtError]) expect(mmioRead(PAGE + register * 16)).toBe(0x10000n);
    expect(rdmsr(MSR_APIC_BASE, makeApic(1))).toBe(0xfee00800n);
  });

  it('leaves VTL1 software-enabled, so that the secure kernel can be interrupted', () => {
    expect(apic.softwareEnabled).toBe(false);
    expect(makeApic(0, 1, 9).softwareEnabled).toBe(true);
  });
});

describe('APIC_BASE (SDM 11.12.5)', () => {
  it.each([
    ['a reserved bit', BigInt(XAPIC) | 1n],
    ['a bit above 35', BigInt(XAPIC) | (1n << 36n)],
    ['x2APIC without enable', BigInt(PAGE) | 0x400n],
  ])('%s is #GP', (_, value) => {
    expect(wrmsr(MSR_APIC_BASE, value)).toBe(MsrStatus.GeneralProtection);
    expect(rdmsr(MSR_APIC_BASE)).toBe(0xfee00900n);
  });

  it('does not go from x2APIC to xAPIC without disabling, which resets the registers', () => {
    x2apic();
    expect(wrmsr(MSR_APIC_BASE, XAPIC)).toBe(MsrStatus.GeneralProtection);
    expect(wrmsr(MSR_APIC_BASE, PAGE)).toBe(MsrStatus.Ok);
    expect(apic.softwareEnabled).toBe(false);
    expect(wrmsr(MSR_APIC_BASE, XAPIC)).toBe(MsrStatus.Ok);
    // The BSP flag cannot be cleared.
    expect(rdmsr(MSR_APIC_BASE)).toBe(0xfee00900n);
  });

  it('goes from disabled to x2APIC mode at once, which hardware answers with #GP (openvmm)', () => {
    expect(wrmsr(MSR_APIC_BASE, PAGE)).toBe(MsrStatus.Ok);
    expect(wrmsr(MSR_APIC_BASE, XAPIC + 0x400)).toBe(MsrStatus.Ok);
    expect(rdmsr(MSR_APIC_BASE)).toBe(0xfee00d00n);
  });

  it('bits 35:12 move the page', () => {
    wrmsr(MSR_APIC_BASE, 0x8_1234_5800n);
    expect(apic.claimsPage(0x812345ff0)).toBe(true);
    expect(apic.claimsPage(PAGE)).toBe(false);
    expect(mmioRead(0x812345000 + ApicRegister.Version * 16)).toBe(0x50014n);
  });
});

describe('register access', () => {
  it('misaligned reads give all ones and misaligned writes nothing', () => {
    expect(mmioRead(PAGE + ApicRegister.Version * 16 + 4)).toBe(0xffffffffn);
    expect(mmioRead(PAGE + ApicRegister.Version * 16 + 1, 1)).toBe(0xffn);
    apic.writeMmio(PAGE + ApicRegister.Svr * 16 + 4, 4, U64.of(SOFTWARE_ENABLED));
    expect(apic.softwareEnabled).toBe(false);
  });

  it('narrow and wide accesses see the register and zeros', () => {
    expect(mmioRead(PAGE + ApicRegister.Version * 16, 1)).toBe(0x14n);
    expect(mmioRead(PAGE + ApicRegister.Version * 16, 8)).toBe(0x50014n);
    apic.writeMmio(PAGE + ApicRegister.Ldr * 16 + 3, 1, U64.of(0x42));
    expect(mmioRead(PAGE + ApicRegister.Ldr * 16)).toBe(0x42000000n);
    expect(mmioRead(PAGE + ApicRegister.Ldr * 16 + 3, 1)).toBe(0x42n);
  });

  it('the page answers all ones in x2APIC mode, the MSRs 0 outside of it', () => {
    expect(rdmsr(0x803)).toBe(0n);
    x2apic();
    expect(mmioRead(PAGE + ApicRegister.Version * 16)).toBe(0xffffffffn);
    expect(rdmsr(0x803)).toBe(0x50014n);
  });

  it('a register that does not exist reads 0 in xAPIC mode and is #GP in x2APIC mode', () => {
    expect(mmioRead(PAGE + 0x3b0)).toBe(0n);
    x2apic();
    expect(rdmsr(0x83b)).toBe('gp');
    expect(x2apicWrite(ApicRegister.Id, 1)).toBe(MsrStatus.GeneralProtection);
  });

  it('ESR has no source; in x2APIC mode only 0 may be written', () => {
    x2apic();
    expect(x2apicWrite(ApicRegister.Esr, 0)).toBe(MsrStatus.Ok);
    expect(x2apicWrite(ApicRegister.Esr, 1)).toBe(MsrStatus.GeneralProtection);
    expect(rdmsr(0x828)).toBe(0n);
  });

  it('the timer LVT keeps bits 0x300ff, so there is no TSC-deadline mode', () => {
    x2apic();
    x2apicWrite(ApicRegister.LvtTimer, 0xffffffff);
    expect(rdmsr(0x832)).toBe(0x300ffn);
  });

  it.each([
    ['thermal', ApicRegister.LvtThermal, 0x107ff],
    ['performance counter', ApicRegister.LvtPmc, 0x107ff],
    ['LINT0', ApicRegister.LvtLint0, 0x1a7ff],
    ['LINT1', ApicRegister.LvtLint1, 0x1a7ff],
    ['error', ApicRegister.LvtError, 0x100ff],
  ])('the %s entry of the local vector table keeps its own bits and no others', (_, register, kept) => {
    x2apic();
    expect(x2apicWrite(register, 0xffffffff)).toBe(MsrStatus.Ok);
    expect(rdmsr(0x800 + register)).toBe(BigInt(kept));
  });

  it.each([
    ['an EOI other than 0', ApicRegister.Eoi, 1],
    ['the id', ApicRegister.Id, 1],
    ['the version', ApicRegister.Version, 1],
    ['LDR', ApicRegister.Ldr, 0],
    ['DFR', ApicRegister.Dfr, 0],
    ['the upper half of ICR', ApicRegister.Icr1, 0],
    ['the current count', ApicRegister.TimerCurrentCount, 0],
  ])('in x2APIC mode a write of %s is #GP (SDM 11.12.1)', (_, register, value) => {
    x2apic();
    expect(x2apicWrite(register, value)).toBe(MsrStatus.GeneralProtection);
  });

  it.each([
    ['EOI', ApicRegister.Eoi],
    ['DFR', ApicRegister.Dfr],
    ['the upper half of ICR', ApicRegister.Icr1],
    ['the self-IPI register', ApicRegister.SelfIpi],
  ])('in x2APIC mode %s cannot be read', (_, register) => {
    x2apic();
    expect(rdmsr(0x800 + register)).toBe('gp');
  });

  it('a disabled APIC answers all ones in its page, and #GP to the synthetic EOI and ICR (openvmm)', () => {
    expect(wrmsr(MSR_APIC_BASE, PAGE)).toBe(MsrStatus.Ok);
    expect(apic.claimsPage(PAGE)).toBe(false);
    expect(mmioRead(PAGE + ApicRegister.Version * 16)).toBe(0xffffffffn);
    expect([wrmsr(HvMsr.Eoi, 0), wrmsr(HvMsr.Icr, 0)]).toEqual([MsrStatus.GeneralProtection, MsrStatus.GeneralProtection]);
    expect(rdmsr(HvMsr.Icr)).toBe('gp');
    apic.requestSynicInterrupt(0x50, false);
    expect([scan(), woken]).toEqual([-1, []]);
  });

  it('the synthetic ICR sends as the register does, with the destination where the mode has it (TLFS)', () => {
    const other = makeApic(1);
    for (const target of [apic, other]) mmioWrite(ApicRegister.Svr, SOFTWARE_ENABLED, 4, target);
    wrmsr(HvMsr.Icr, (1n << 56n) | 0x4080n);
    expect([woken, rdmsr(HvMsr.Icr)]).toEqual([['1.0'], (1n << 56n) | 0x4080n]);
    x2apic();
    wrmsr(HvMsr.Icr, (1n << 32n) | 0x4081n);
    expect([woken, rdmsr(0x830)]).toEqual([['1.0', '1.0'], (1n << 32n) | 0x4081n]);
  });

  it('the synthetic EOI ends the highest in service', () => {
    x2apic();
    apic.requestSynicInterrupt(0x50, false);
    scan();
    apic.acknowledge(0x50);
    expect(wrmsr(HvMsr.Eoi, 0)).toBe(MsrStatus.Ok);
    expect(rdmsr(0x812)).toBe(0n);
  });

  it('software-disabling masks the LVTs', () => {
    x2apic();
    x2apicWrite(ApicRegister.LvtTimer, 0x40);
    x2apicWrite(ApicRegister.Svr, 0xff);
    expect(rdmsr(0x832)).toBe(0x10040n);
    x2apicWrite(ApicRegister.LvtTimer, 0x41);
    expect(rdmsr(0x832)).toBe(0x10041n);
  });

  it('the Hyper-V MSRs reach the same registers (TLFS)', () => {
    expect(rdmsr(HvMsr.ApicFrequency)).toBe(200_000_000n);
    expect(wrmsr(HvMsr.ApicFrequency, 1)).toBe(MsrStatus.GeneralProtection);
    expect(rdmsr(HvMsr.Eoi)).toBe('gp');
    expect(wrmsr(HvMsr.Tpr, 0x100)).toBe(MsrStatus.GeneralProtection);
    expect(wrmsr(HvMsr.Tpr, 0x57)).toBe(MsrStatus.Ok);
    expect(rdmsr(HvMsr.Tpr)).toBe(0x50n);
    expect(mmioRead(PAGE + ApicRegister.Tpr * 16)).toBe(0x50n);
  });

  it("the task priority is the guest's CR8 once the backing attaches it", () => {
    const cr8 = { value: 3 };
    apic.attachCr8({ readCr8: () => cr8.value, writeCr8: (value) => void (cr8.value = value) });
    expect(mmioRead(PAGE + ApicRegister.Ppr * 16)).toBe(0x30n);
    mmioWrite(ApicRegister.Tpr, 0x9f);
    expect(cr8.value).toBe(9);
  });
});

describe('requests', () => {
  beforeEach(() => x2apic());

  it('are staged first: IRR sees them when a scan looks', () => {
    apic.requestSynicInterrupt(0x50, false);
    expect(woken).toEqual(['0.0']);
    expect(scan(false)).toBe(-1);
    expect(scan(true)).toBe(0x50);
  });

  it('wake the VP only when they are news', () => {
    apic.requestSynicInterrupt(0x50, false);
    apic.requestSynicInterrupt(0x50, false);
    expect(woken).toHaveLength(1);
  });

  it('one vector a priority class is in service, and a higher class interrupts it', () => {
    for (const vector of [0x51, 0x52, 0x61]) apic.requestSynicInterrupt(vector, false);
    expect(scan()).toBe(0x61);
    apic.acknowledge(0x61);
    expect(scan()).toBe(-1);
    expect(rdmsr(0x80a)).toBe(0x60n);
    x2apicWrite(ApicRegister.Eoi, 0);
    expect(scan()).toBe(0x52);
    apic.acknowledge(0x52);
    expect(scan()).toBe(-1);
    wrmsr(HvMsr.Eoi, 0);
    expect(scan()).toBe(0x51);
  });

  it('an auto-EOI vector goes into service nowhere, and forbids offload until IRR is empty', () => {
    expect(apic.requests.activeAutoEoi).toBe(false);
    apic.requestSynicInterrupt(0x50, true);
    expect(scan()).toBe(0x50);
    expect(apic.requests.activeAutoEoi).toBe(true);
    apic.acknowledge(0x50);
    expect(rdmsr(0x812)).toBe(0n);
    expect(apic.requests.activeAutoEoi).toBe(false);
  });

  it('lazy EOI is possible for the only pending request with nothing in service, or for what is in service with nothing pending', () => {
    expect(apic.lazyEoiPossible).toBe(false);
    apic.requestSynicInterrupt(0x50, false);
    scan();
    expect(apic.lazyEoiPossible).toBe(true);
    apic.requestSynicInterrupt(0x91, false);
    scan();
    expect(apic.lazyEoiPossible).toBe(false);
    apic.acknowledge(0x91);
    expect(apic.lazyEoiPossible).toBe(false);
    apic.lazyEoi();
    apic.acknowledge(0x50);
    expect(apic.lazyEoiPossible).toBe(true);
    apic.lazyEoi();
    expect([apic.lazyEoiPossible, rdmsr(0x812)]).toEqual([false, 0n]);
  });

  it('a level-triggered interrupt needs its EOI at the APIC', () => {
    set.request(apic, 0, 0x50, true, false);
    scan();
    expect(apic.lazyEoiPossible).toBe(false);
    apic.acknowledge(0x50);
    expect(apic.lazyEoiPossible).toBe(false);
  });

  it('vectors below 16 are dropped silently', () => {
    apic.requestSynicInterrupt(15, false);
    expect(woken).toEqual([]);
    expect(scan()).toBe(-1);
  });

  it('fixed requests are dropped while software-disabled, those staged before are kept', () => {
    apic.requestSynicInterrupt(0x50, false);
    x2apicWrite(ApicRegister.Svr, 0xff);
    apic.requestSynicInterrupt(0x60, false);
    expect(scan()).toBe(-1);
    x2apicWrite(ApicRegister.Svr, SOFTWARE_ENABLED);
    expect(scan()).toBe(0x50);
  });

  it('acknowledging what was not offered is an error of the model', () => {
    expect(() => apic.acknowledge(0x50)).toThrow("vector 80 acknowledged, but -1 was offered");
  });
});

describe('inter-processor interrupts (SDM 11.6)', () => {
  let other: LocalApic;
  const FIXED = 0x4000;
  const ALL_EXCLUDING_SELF = 3 << 18;
  const ALL_INCLUDING_SELF = 2 << 18;

  beforeEach(() => {
    other = makeApic(1);
  });

  it('a self-IPI is taken by the next scan, whatever its scanIrr', () => {
    x2apic();
    expect(x2apicWrite(ApicRegister.SelfIpi, 0x70)).toBe(MsrStatus.Ok);
    expect([woken, apic.needsScan]).toEqual([[], true]);
    expect(scan(false)).toBe(0x70);
  });

  it('SELF_IPI exists only in x2APIC mode; the self shorthand in both', () => {
    mmioWrite(ApicRegister.Svr, SOFTWARE_ENABLED);
    mmioWrite(ApicRegister.SelfIpi, 0x70);
    expect(scan(false)).toBe(-1);
    mmioWrite(ApicRegister.Icr0, FIXED | (1 << 18) | 0x71);
    expect(scan(false)).toBe(0x71);
  });

  it('a physical destination reaches that APIC and wakes its VP', () => {
    x2apic();
    x2apic(other);
    x2apicWrite(ApicRegister.Icr0, (1n << 32n) | BigInt(FIXED | 0x80));
    expect(woken).toEqual(['1.0']);
    expect(scan(true, other)).toBe(0x80);
    expect(rdmsr(0x830)).toBe((1n << 32n) | BigInt(FIXED | 0x80));
  });

  it('an x2APIC logical destination names a cluster of sixteen', () => {
    x2apic();
    x2apic(other);
    expect(rdmsr(0x80d, other)).toBe(2n);
    x2apicWrite(ApicRegister.Icr0, (0x2n << 32n) | BigInt(FIXED | 0x800 | 0x80));
    expect(woken).toEqual(['1.0']);
  });

  it('xAPIC logical destinations match the LDR, flat or by cluster', () => {
    for (const [target, id] of [[apic, 0x11], [other, 0x22]] as const) {
      mmioWrite(ApicRegister.Svr, SOFTWARE_ENABLED, 4, target);
      mmioWrite(ApicRegister.Ldr, id * 0x1000000, 4, target);
    }
    const sendTo = (destination: number, vector: number): string[] => {
      woken = [];
      mmioWrite(ApicRegister.Icr1, destination * 0x1000000);
      mmioWrite(ApicRegister.Icr0, FIXED | 0x800 | vector);
      return woken;
    };
    expect(sendTo(0x20, 0x80)).toEqual(['1.0']);
    expect(sendTo(0x30, 0x81)).toEqual(['0.0', '1.0']);
    for (const target of [apic, other]) mmioWrite(ApicRegister.Dfr, 0x0fffffff, 4, target);
    expect(sendTo(0x2f, 0x82)).toEqual(['1.0']);
    expect(sendTo(0x13, 0x83)).toEqual(['0.0']);
    expect(sendTo(0xff, 0x84)).toEqual(['0.0', '1.0']);
  });

  it('shorthands reach everybody, with or without the sender', () => {
    x2apic();
    x2apic(other);
    x2apicWrite(ApicRegister.Icr0, FIXED | ALL_EXCLUDING_SELF | 0x80);
    expect(woken).toEqual(['1.0']);
    x2apicWrite(ApicRegister.Icr0, FIXED | ALL_INCLUDING_SELF | 0x81);
    expect(woken).toEqual(['1.0', '0.0', '1.0']);
  });

  it('INIT, SIPI and NMI come out of the scan once; an INIT de-assertion is nothing', () => {
    x2apic();
    const INIT_DEASSERT = 0x8500;
    x2apicWrite(ApicRegister.Icr0, INIT_DEASSERT | ALL_EXCLUDING_SELF);
    expect(woken).toEqual([]);
    for (const command of [0x4500, 0x4608, 0x4400]) x2apicWrite(ApicRegister.Icr0, command | ALL_EXCLUDING_SELF);
    expect({ ...other.scan(vmTime, false) }).toEqual({ interrupt: -1, nmi: true, init: true, sipi: 8 });
    expect({ ...other.scan(vmTime, false) }).toEqual({ interrupt: -1, nmi: false, init: false, sipi: -1 });
  });

  it('lowest priority in xAPIC mode goes to the first software-enabled APIC of the set; a physical destination is taken as it is', () => {
    const third = makeApic(2);
    for (const target of [other, third]) {
      mmioWrite(ApicRegister.Svr, SOFTWARE_ENABLED, 4, target);
      mmioWrite(ApicRegister.Ldr, 0x01000000, 4, target);
    }
    mmioWrite(ApicRegister.Ldr, 0x01000000);
    const LOWEST = 0x4100;
    mmioWrite(ApicRegister.Icr1, 0x01000000);
    mmioWrite(ApicRegister.Icr0, LOWEST | 0x800 | 0x80);
    expect(woken).toEqual(['1.0']);
    mmioWrite(ApicRegister.Icr1, 0x02000000);
    mmioWrite(ApicRegister.Icr0, LOWEST | 0x81);
    expect(woken).toEqual(['1.0', '2.0']);
    mmioWrite(ApicRegister.Icr0, LOWEST | ALL_INCLUDING_SELF | 0x82);
    expect(woken).toEqual(['1.0', '2.0', '1.0']);
  });

  it('lowest priority is sent in xAPIC mode only', () => {
    x2apic();
    x2apic(other);
    x2apicWrite(ApicRegister.Icr0, FIXED | 0x100 | ALL_EXCLUDING_SELF | 0x80);
    expect(woken).toEqual([]);
  });

  it('an APIC id can be taken once', () => {
    expect(() => makeApic(5, 0, 1)).toThrow(RangeError);
  });
});

describe('timer', () => {
  const PERIODIC = 0x20000;

  function arm(lvt: number, count: number): void {
    x2apic();
    x2apicWrite(ApicRegister.LvtTimer, lvt);
    x2apicWrite(ApicRegister.TimerDivide, DIVIDE_BY_1);
    x2apicWrite(ApicRegister.TimerInitialCount, count);
  }

  it('a scan sets the VmTime timeout and expires strictly after the due time', () => {
    arm(0x40, 2_000);
    expect(events).toEqual(['armed 4 100']);
    expect(scan()).toBe(-1);
    expect(u64ToNumber(vmTime.timeout)).toBe(100);
    at(100);
    expect(scan()).toBe(-1);
    at(101);
    expect(scan(false)).toBe(0x40);
    expect(events.at(-1)).toBe('delivered 4 100 101');
  });

  it('reading the count can expire it at the due time, and leaves the due time alone', () => {
    arm(0x40, 2_000);
    at(100);
    expect(rdmsr(0x839)).toBe(0n);
    expect(apic.needsScan).toBe(true);
    scan(false);
    expect(vmTime.hasTimeout && u64ToNumber(vmTime.timeout)).toBe(100);
  });

  it('missed periods are one interrupt, and the phase is kept', () => {
    arm(PERIODIC | 0x40, 2_000);
    at(350);
    expect(scan()).toBe(0x40);
    expect(u64ToNumber(vmTime.timeout)).toBe(400);
  });

  it('a masked timer counts and requests nothing; unmasking does not re-arm it', () => {
    arm(0x10040, 2_000);
    at(50);
    expect(rdmsr(0x839)).toBe(1_000n);
    at(101);
    expect(scan()).toBe(-1);
    x2apicWrite(ApicRegister.LvtTimer, 0x40);
    at(500);
    expect(scan()).toBe(-1);
    expect(events).toEqual(['armed 4 100']);
  });

  it('a count write starts over, zero stops', () => {
    arm(0x40, 2_000);
    at(60);
    x2apicWrite(ApicRegister.TimerInitialCount, 2_000);
    at(101);
    expect(scan()).toBe(-1);
    x2apicWrite(ApicRegister.TimerInitialCount, 0);
    at(1_000);
    expect(scan()).toBe(-1);
    expect(rdmsr(0x839)).toBe(0n);
  });

  it('a divider write evaluates first and re-times the rest', () => {
    arm(0x40, 2_000);
    at(50);
    x2apicWrite(ApicRegister.TimerDivide, 0);
    vmTime.cancelTimeout();
    scan();
    expect(u64ToNumber(vmTime.timeout)).toBe(150);
  });

  it('does not move an earlier timeout of somebody else', () => {
    arm(0x40, 2_000);
    vmTime.setTimeout(U64.of(30));
    scan();
    expect(u64ToNumber(vmTime.timeout)).toBe(30);
  });
});

describe('LINT pins (openvmm LocalApicSet::lint)', () => {
  const lint = (pin: 0 | 1, entry: number): void => void mmioWrite(ApicRegister.LvtLint0 + pin, entry);

  beforeEach(() => void mmioWrite(ApicRegister.Svr, SOFTWARE_ENABLED));

  it('a pulse asks for the vector of the entry, and wakes; a masked pin does nothing', () => {
    apic.pulseLint(0);
    lint(0, 0x41);
    apic.pulseLint(0);
    expect([scan(), woken]).toEqual([0x41, ['0.0']]);
  });

  it('LINT1 is usually an NMI', () => {
    lint(1, 0x400);
    apic.pulseLint(1);
    expect(apic.scan(vmTime, false).nmi).toBe(true);
  });

  it('a level-triggered entry does nothing', () => {
    lint(0, 0x8041);
    apic.pulseLint(0);
    expect([scan(), woken]).toEqual([-1, []]);
  });

  it('of an ExtINT nothing comes but that the VP is woken: openvmm does not support it under isolation', () => {
    lint(0, 0x700);
    apic.pulseLint(0);
    const { interrupt, nmi, init, sipi } = apic.scan(vmTime, true);
    expect([interrupt, nmi, init, sipi, woken]).toEqual([-1, false, false, -1, ['0.0']]);
  });
});
