/** Where the reference's SynIC loses, delays or repeats a timer or an event: kept as it is, and listed in docs/conformance.md. */
import { HvMsr, U64, u64ToNumber, viewHvMessage } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { silentTimerObserver } from '../contract/observer.js';
import { PostStatus, Synic } from './synic.js';

const SIMP = 0x1000;
const SIEFP = 0x2000;
const ENABLED = 1;
const PERIODIC = 2;
const DIRECT_50 = (1 << 12) | (0x50 << 4);
const SINT_4 = 4 << 16;
const MESSAGE = 7;

let memory: FlatMemory;
let interrupts: number[];
let synic: Synic;

beforeEach(() => {
  memory = new FlatMemory(0x4000);
  interrupts = [];
  synic = new Synic({ vp: 0, vtl: 0, memory, interrupts: { requestSynicInterrupt: (vector) => void interrupts.push(vector) }, observer: silentTimerObserver });
  write(HvMsr.Simp, SIMP | 1);
  write(HvMsr.Siefp, SIEFP | 1);
  write(HvMsr.Sint0 + 4, 0x61);
});

const write = (msr: number, value: number | bigint): void => void synic.writeMsr(msr, U64.of(value));
const slot = () => viewHvMessage(memory.bytes, SIMP + 4 * 256);
const message = new Uint8Array(256);
viewHvMessage(message).type = MESSAGE;

function start(timer: number, config: number, count: number | bigint): void {
  write(HvMsr.Stimer0Config + 2 * timer, config);
  write(HvMsr.Stimer0Count + 2 * timer, count);
}

/** Scans at `now`; the next due time, or null. */
function scan(now: number): number | null {
  synic.scan(U64.of(now));
  return synic.hasNextDue ? u64ToNumber(synic.nextDue) : null;
}

describe('hazards of the reference: the SynIC (openvmm hv1_emulator)', () => {
  it('hazard: a timer waits while messages are queued for its SINT, even when the slot is free: each of them goes first', () => {
    start(0, ENABLED | SINT_4, 100);
    for (let queued = 3; queued > 0; queued--) {
      synic.requestSintReadiness(1 << 4);
      expect(scan(1_000)).toBeNull();
      expect(synic.readySints).toBe(1 << 4);
      expect(synic.postMessage(4, message)).toBe(PostStatus.Posted);
      slot().type = 0;
    }
    scan(2_000);
    expect(slot().type).toBe(0x80000010);
  });

  it('hazard: an expiry that waits for its slot is forgotten when the guest writes the timer again', () => {
    slot().type = MESSAGE;
    start(0, ENABLED | SINT_4, 100);
    expect(scan(150)).toBeNull();
    write(HvMsr.Stimer0Count, 10_000);
    slot().type = 0;
    expect(scan(200)).toBe(10_000);
    expect(interrupts).toEqual([]);
  });

  it('hazard: so is one that has come due and nobody has looked at: the guest’s own write is the exit that comes first', () => {
    start(0, ENABLED | DIRECT_50, 100);
    scan(50);
    write(HvMsr.Stimer0Count, 10_000);
    expect(scan(101)).toBe(10_000);
    expect(interrupts).toEqual([]);
  });

  it('hazard: a periodic timer whose configuration is written in every period, though unchanged, never fires', () => {
    start(0, ENABLED | PERIODIC | DIRECT_50, 100);
    for (let now = 0; now < 1_000; now += 90) {
      write(HvMsr.Stimer0Config, ENABLED | PERIODIC | DIRECT_50);
      expect(scan(now)).toBe(now + 100);
    }
    expect(interrupts).toEqual([]);
  });

  it('hazard: a period beyond half the time line has always come: the timer fires at every scan', () => {
    start(0, ENABLED | PERIODIC | DIRECT_50, 2n ** 64n - 1n);
    for (let now = 0; now < 5; now++) scan(now);
    expect(interrupts).toHaveLength(5);
  });

  it('hazard: with the message page off a message takes its slot in a page nobody sees, and holds the next one back', () => {
    write(HvMsr.Simp, 0);
    start(0, ENABLED | SINT_4, 100);
    scan(100);
    start(1, ENABLED | SINT_4, 200);
    expect(scan(200)).toBeNull();
    expect(interrupts).toEqual([0x61]);
  });

  it('hazard: a timer whose SINT the host serves, or that is masked, waits without a word', () => {
    for (const sint of [0x100061, 0x10061]) {
      write(HvMsr.Sint0 + 4, sint);
      start(0, ENABLED | SINT_4, 100);
      expect(scan(1_000)).toBeNull();
    }
    expect([interrupts, slot().type]).toEqual([[], 0]);
  });

  it('hazard: an event for a masked SINT, or while SCONTROL is off, is dropped: its flag is not set either', () => {
    write(HvMsr.Sint0 + 4, 0x10061);
    expect(synic.signalEvent(4, 3)).toBe(false);
    write(HvMsr.Sint0 + 4, 0x61);
    write(HvMsr.Scontrol, 0);
    expect(synic.signalEvent(4, 3)).toBe(false);
    write(HvMsr.Scontrol, 1);
    expect([interrupts, memory.bytes[SIEFP + 4 * 256]]).toEqual([[], 0]);
  });
});
