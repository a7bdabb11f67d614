import { HvMsr, U64, hvTimerMessagePayloadLayout, u64ToBigInt, u64ToNumber, viewHvMessage, viewOf } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { MsrStatus } from '../contract/status.js';
import { PostStatus, Synic } from './synic.js';

const SIMP = 0x1000;
const SIEFP = 0x2000;
const ENABLED = 1;
const PERIODIC = 2;
const AUTO_ENABLE = 8;
const direct = (vector: number): number => (1 << 12) | (vector << 4);
const viaSint = (sint: number): number => sint << 16;

let memory: FlatMemory;
let interrupts: [vector: number, autoEoi: boolean][];
let timerEvents: string[];
let synic: Synic;

beforeEach(() => {
  memory = new FlatMemory(0x4000);
  interrupts = [];
  timerEvents = [];
  synic = new Synic({
    vp: 3,
    vtl: 0,
    memory,
    interrupts: { requestSynicInterrupt: (vector, autoEoi) => void interrupts.push([vector, autoEoi]) },
    observer: {
      armed: (vp, vtl, source, due) => void timerEvents.push(`armed ${vp} ${vtl} ${source} ${u64ToNumber(due)}`),
      delivered: (vp, vtl, source, due, now) => void timerEvents.push(`delivered ${vp} ${vtl} ${source} ${u64ToNumber(due)} ${u64ToNumber(now)}`),
    },
  });
});

function write(msr: number, value: number | bigint): MsrStatus {
  return synic.writeMsr(msr, U64.of(value));
}

function read(msr: number): bigint {
  const out = U64.of(0xdead);
  expect(synic.readMsr(msr, out)).toBe(MsrStatus.Ok);
  return out.toBigInt();
}

function startTimer(timer: number, config: number, count: number): void {
  write(HvMsr.Stimer0Config + 2 * timer, config);
  write(HvMsr.Stimer0Count + 2 * timer, count);
}

/** Scans at `now`; the next due time, or null. */
function scan(now: number): number | null {
  synic.scan(U64.of(now));
  return synic.hasNextDue ? u64ToNumber(synic.nextDue) : null;
}

function slot(sint: number) {
  return viewHvMessage(memory.bytes, SIMP + sint * 256);
}

describe('SynIC registers (TLFS)', () => {
  it('come out of reset with SCONTROL on, SINTs masked, and nothing else', () => {
    expect(read(HvMsr.Scontrol)).toBe(1n);
    expect(read(HvMsr.Sversion)).toBe(1n);
    expect([HvMsr.Simp, HvMsr.Siefp, HvMsr.Eom, HvMsr.Stimer0Config, HvMsr.Stimer0Count].map(read)).toEqual([0n, 0n, 0n, 0n, 0n]);
    for (let n = 0; n < 16; n++) expect(read(HvMsr.Sint0 + n)).toBe(0x10000n);
  });

  it('SVERSION cannot be written; SINTs and timers take any value', () => {
    expect(write(HvMsr.Sversion, 1)).toBe(MsrStatus.GeneralProtection);
    for (const msr of [HvMsr.Sint0 + 5, HvMsr.Stimer0Config + 6, HvMsr.Stimer0Count + 6]) {
      expect(write(msr, 0xfedcba9876543210n)).toBe(MsrStatus.Ok);
      expect(read(msr)).toBe(0xfedcba9876543210n);
    }
  });

  it('own their MSRs and no others', () => {
    const owned: number[] = [];
    for (let msr = 0x40000070; msr < 0x40000100; msr++) if (Synic.owns(msr)) owned.push(msr & 0xff);
    const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    expect(owned).toEqual([...range(0x80, 0x84), ...range(0x90, 0x9f), ...range(0xb0, 0xb7)]);
  });

  it('a message page outside RAM is #GP and leaves the register alone', () => {
    write(HvMsr.Simp, SIMP | 1);
    expect(write(HvMsr.Simp, 0x8000_0000_0001n)).toBe(MsrStatus.GeneralProtection);
    expect(read(HvMsr.Simp)).toBe(BigInt(SIMP | 1));
  });
});

describe('synthetic timers (openvmm hv1_emulator)', () => {
  it('a write only marks: the scan gives the due time', () => {
    startTimer(0, ENABLED | direct(0x50), 1_000);
    expect(timerEvents).toEqual([]);
    expect(scan(10)).toBe(1_000);
    expect(timerEvents).toEqual(['armed 3 0 0 1000']);
  });

  it('a one-shot fires at its due time, never before, and disables itself', () => {
    startTimer(1, ENABLED | direct(0x50), 1_000);
    scan(999);
    expect(interrupts).toEqual([]);
    expect(scan(1_000)).toBeNull();
    expect(interrupts).toEqual([[0x50, false]]);
    expect(read(HvMsr.Stimer0Config + 2)).toBe(BigInt(direct(0x50)));
    scan(2_000);
    expect(interrupts).toHaveLength(1);
  });

  it('a periodic timer restarts from now: it drifts and never catches up', () => {
    startTimer(0, ENABLED | PERIODIC | direct(0x50), 100);
    expect(scan(1_000)).toBe(1_100);
    expect(scan(1_450)).toBe(1_550);
    expect(interrupts).toHaveLength(1);
    expect(timerEvents).toEqual(['armed 3 0 0 1100', 'delivered 3 0 0 1100 1450']);
  });

  it('a period past the end of the time line wraps', () => {
    startTimer(0, ENABLED | PERIODIC | direct(0x50), 100);
    synic.scan(U64.of(2n ** 64n - 10n));
    expect([synic.hasNextDue, u64ToNumber(synic.nextDue)]).toEqual([true, 90]);
    synic.scan(U64.of(89n));
    expect(interrupts).toEqual([]);
    synic.scan(U64.of(90n));
    expect(interrupts).toHaveLength(1);
  });

  it('a count of zero gives no due time and leaves the timer enabled', () => {
    startTimer(0, ENABLED | direct(0x50), 0);
    expect(scan(5)).toBeNull();
    expect(read(HvMsr.Stimer0Config)).toBe(BigInt(ENABLED | direct(0x50)));
  });

  it('a non-zero count enables an auto-enable timer', () => {
    startTimer(2, AUTO_ENABLE | direct(0x50), 700);
    expect(read(HvMsr.Stimer0Config + 4)).toBe(BigInt(ENABLED | AUTO_ENABLE | direct(0x50)));
    expect(scan(5)).toBe(700);
  });

  it('the next due time is the unsigned minimum over the four', () => {
    [40, 30, 20, 50].forEach((count, timer) => startTimer(timer, ENABLED | direct(0x50), count));
    expect(scan(0)).toBe(20);
  });

  it('posts a timer-expired message with expiration and delivery time', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x20061);
    startTimer(3, ENABLED | viaSint(4), 1_000);
    memory.bytes.fill(0xff, SIMP + 4 * 256 + 4, SIMP + 5 * 256); // what an earlier message left in a slot that is free
    scan(1_234);
    expect(interrupts).toEqual([[0x61, true]]);
    expect(slot(4)).toMatchObject({ type: 0x80000010, payloadSize: 24, flags: 0 });
    const payload = viewOf(hvTimerMessagePayloadLayout, slot(4).payload);
    expect(u64ToBigInt(slot(4).sender)).toBe(0n);
    expect([payload.timerIndex, u64ToBigInt(payload.expirationTime), u64ToBigInt(payload.deliveryTime)]).toEqual([3, 1_000n, 1_234n]);
  });

  it('a busy slot gets the message-pending flag; the timer stays due, asks for nothing, and is delivered after the EOM', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x61);
    slot(4).type = 7;
    startTimer(0, ENABLED | viaSint(4), 1_000);
    expect(scan(2_000)).toBeNull();
    expect(slot(4).flags).toBe(1);
    expect(interrupts).toEqual([]);
    slot(4).type = 0;
    write(HvMsr.Eom, 0);
    scan(3_000);
    expect(interrupts).toEqual([[0x61, false]]);
    expect(timerEvents.at(-1)).toBe('delivered 3 0 0 1000 3000');
  });

  it('the lazy bit changes nothing; a direct-mode timer fires whatever its SINT', () => {
    const LAZY = 4;
    write(HvMsr.Sint0 + 4, 0x110061);
    startTimer(0, ENABLED | LAZY | direct(0x50) | viaSint(4), 1_000);
    scan(999);
    expect(interrupts).toEqual([]);
    scan(1_000);
    expect(interrupts).toEqual([[0x50, false]]);
  });

  it('a SINT with messages waiting is not posted to; once its slot is reported free the timer has its turn', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x61);
    startTimer(0, ENABLED | viaSint(4), 1_000);
    synic.requestSintReadiness(1 << 4);
    expect(scan(2_000)).toBeNull();
    expect([slot(4).type, synic.readySints, synic.sints.pending]).toEqual([0, 1 << 4, 0]);
    scan(2_000);
    expect(slot(4).type).toBe(0x80000010);
  });

  it('EOM does nothing by itself: it is an exit, and the next scan looks', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x61);
    slot(4).type = 7;
    startTimer(0, ENABLED | viaSint(4), 1_000);
    scan(2_000);
    slot(4).type = 0;
    const before = JSON.stringify(synic.save());
    expect(write(HvMsr.Eom, 0)).toBe(MsrStatus.Ok);
    expect([JSON.stringify(synic.save()), slot(4).type, interrupts]).toEqual([before, 0, []]);
  });

  it.each([
    ['masked', 0x10061],
    ['proxied', 0x100061],
  ])('a %s SINT is not posted to and its slot is not touched', (_, sint) => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, sint);
    slot(4).type = 7;
    startTimer(0, ENABLED | viaSint(4), 1_000);
    expect(scan(2_000)).toBeNull();
    expect(slot(4).flags).toBe(0);
  });

  it('a polling SINT gets the message and no interrupt', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x40061);
    startTimer(0, ENABLED | viaSint(4), 1);
    scan(2);
    expect(slot(4).type).toBe(0x80000010);
    expect(interrupts).toEqual([]);
  });

  it('with SIMP off a message waits in a private page, the interrupt is raised, and enabling copies it to the guest', () => {
    write(HvMsr.Sint0 + 4, 0x61);
    startTimer(0, ENABLED | viaSint(4), 1);
    scan(2);
    expect(interrupts).toEqual([[0x61, false]]);
    expect(slot(4).type).toBe(0);
    write(HvMsr.Simp, SIMP | 1);
    expect(slot(4).type).toBe(0x80000010);
    memory.bytes.fill(0, SIMP, SIMP + 0x1000);
    write(HvMsr.Simp, SIMP);
    write(HvMsr.Simp, SIMP | 1);
    expect(slot(4).type).toBe(0);
  });

  it('a slot seen free is remembered as free, even if the guest fills it', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x61);
    synic.requestSintReadiness(1 << 4);
    expect(synic.scan(U64.of(0))).toBe(true);
    expect(synic.readySints).toBe(1 << 4);
    slot(4).type = 7;
    expect(synic.postMessage(4, new Uint8Array(256))).toBe(PostStatus.Posted);
    expect(synic.postMessage(4, new Uint8Array(256))).toBe(PostStatus.ObjectInUse);
  });

  it('so a timer overwrites what the guest put there, also when the message page has moved since', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0 + 4, 0x61);
    synic.requestSintReadiness(1 << 4);
    scan(0);
    write(HvMsr.Simp, 0x3001);
    const moved = viewHvMessage(memory.bytes, 0x3000 + 4 * 256);
    moved.type = 7;
    startTimer(0, ENABLED | viaSint(4), 1_000);
    scan(1_000);
    expect([moved.type, moved.flags, interrupts]).toEqual([0x80000010, 0, [[0x61, false]]]);
  });

  it('a due time half the time line away counts as past', () => {
    write(HvMsr.Stimer0Config, ENABLED | direct(0x50));
    write(HvMsr.Stimer0Count, 2n ** 63n + 5n);
    scan(5);
    expect(interrupts).toHaveLength(1);
  });

  it('a count the driver took is due as of its write, without a scan (openvmm PR 4224)', () => {
    write(HvMsr.Stimer0Config, ENABLED | PERIODIC | direct(0x50));
    synic.writeCountAt(0, U64.of(100), U64.of(1_000));
    expect(scan(1_050)).toBe(1_100);
  });

  it('reset forgets timers, SINTs and pages', () => {
    write(HvMsr.Simp, SIMP | 1);
    write(HvMsr.Sint0, 0x61);
    startTimer(0, ENABLED | direct(0x50), 1);
    synic.reset();
    expect(scan(10)).toBeNull();
    expect(interrupts).toEqual([]);
    expect([read(HvMsr.Simp), read(HvMsr.Sint0), read(HvMsr.Stimer0Config)]).toEqual([0n, 0x10000n, 0n]);
  });
});

describe('event flags', () => {
  beforeEach(() => {
    write(HvMsr.Siefp, SIEFP | 1);
    write(HvMsr.Sint0 + 2, 0x62);
  });

  it('a flag newly set raises the SINT once', () => {
    expect(synic.signalEvent(2, 2047)).toBe(true);
    expect(synic.signalEvent(2, 2047)).toBe(false);
    expect(memory.bytes[SIEFP + 2 * 256 + 255]).toBe(0x80);
    expect(interrupts).toEqual([[0x62, false]]);
  });

  it('flags of a byte and of a word do not disturb each other', () => {
    for (const flag of [0, 1, 31, 32, 40, 63, 64]) expect(synic.signalEvent(2, flag)).toBe(true);
    for (const flag of [0, 1, 31, 32, 40, 63, 64]) expect(synic.signalEvent(2, flag)).toBe(false);
    expect([...memory.bytes.subarray(SIEFP + 512, SIEFP + 521)]).toEqual([3, 0, 0, 0x80, 1, 1, 0, 0x80, 1]);
  });

  it('wait in a private page while SIEFP is off', () => {
    write(HvMsr.Siefp, SIEFP);
    expect(synic.signalEvent(2, 9)).toBe(true);
    expect(synic.signalEvent(2, 9)).toBe(false);
    write(HvMsr.Siefp, SIEFP | 1);
    expect(memory.bytes[SIEFP + 513]).toBe(2);
  });

  it('SCONTROL gates event flags and nothing else', () => {
    write(HvMsr.Scontrol, 0);
    expect(synic.signalEvent(2, 0)).toBe(false);
    startTimer(0, ENABLED | viaSint(2), 1);
    scan(2);
    expect(interrupts).toEqual([[0x62, false]]);
  });
});
