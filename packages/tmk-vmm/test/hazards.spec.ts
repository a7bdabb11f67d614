/** What the reference does to a guest's timers by its own mistakes (docs/conformance.md, "Hazards of the reference"), on whole partitions. */
import { U64 } from '@paravisor/hcl-protocol';
import type { PartitionObserver } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { SMALL_GUEST_DATA, SPIN, everyConfiguration, machineCode, runImage, runTest, smallGuest, wrmsr } from './whole-partition.js';

/** 100 ns units in a millisecond. */
const MILLISECOND = 10_000;
const VECTOR = 0x50;

/** x2APIC on by APIC_BASE, which is read, changed and written back; software-enabled by the spurious vector register. */
const enableX2apic = `b9 1b000000 0f32 0d 000c0000 0f30 ${wrmsr(0x80f, 0x1ff)}`;
/** STIMER0 in direct mode to `VECTOR`, enabled; bit 1 makes it periodic. */
const ONE_SHOT = 0x1001 | (VECTOR << 4);
const PERIODIC = ONE_SHOT | 2;
const startTimer = (config: number, count: number): string => wrmsr(0x400000b0, config) + wrmsr(0x400000b1, count);
const stopTimer = wrmsr(0x400000b0, 0);

/** Due time and time of delivery, 100 ns. */
interface Delivery {
  readonly due: number;
  readonly now: number;
}

/** Watches a partition's timers: every delivery, and the tick of every arming. */
function watchTimers(): { observer: PartitionObserver; delivered: Delivery[]; armedAt: number[] } {
  const delivered: Delivery[] = [];
  const armedAt: number[] = [];
  const number = new U64();
  const observer: PartitionObserver = {
    exit() {},
    deadlineWritten() {},
    hostTimerArmed() {},
    hostTimerExpired() {},
    timerArmed: (_vp, _vtl, _source, _due, ticks) => void armedAt.push(ticks),
    timerDelivered: (_vp, _vtl, _source, due, now) => void delivered.push({ due: number.set(due).toNumber(), now: number.set(now).toNumber() }),
  };
  return { observer, delivered, armedAt };
}

describe.each(everyConfiguration)('under every timer: %s', (configuration) => {
  it('hazard: a periodic synthetic timer counts from where its expiry was noticed, and drifts by every latency', () => {
    const { observer, delivered } = watchTimers();
    runTest('timers::stimer_periodic_busy', configuration, { observer });
    expect(delivered.length).toBe(1000);
    const due = delivered.map((delivery) => delivery.due);
    expect(due.slice(1)).toEqual(delivered.slice(0, -1).map(({ now }) => now + MILLISECOND));
    // A timer that keeps its phase would have had its last expiry 999 periods after the first.
    expect(due.at(-1)! - due[0]!).toBeGreaterThan(999 * MILLISECOND + 999);
  });

  it('hazard: ticks of a periodic timer are lost while its message slot is busy', () => {
    const simp = SMALL_GUEST_DATA;
    // Guest OS id, SIMP, SINT0; a periodic 1 ms timer by messages to SINT0. Then for ever: 10 ms of LOOP, free slot 0, EOM.
    const setUp = wrmsr(0x40000000, 1) + wrmsr(0x40000083, simp | 1) + wrmsr(0x40000090, VECTOR) + startTimer(3, MILLISECOND);
    const wait = 'b9 400d0300 e2fe';
    const freeSlot = `c704 25 00102000 00000000 ${wrmsr(0x40000084, 0)}`;
    const again = machineCode(wait, freeSlot).length + 2;
    const code = machineCode(enableX2apic, setUp, wait, freeSlot, `eb ${(256 - again).toString(16)}`);
    const { partition } = runImage(smallGuest(code), 0, configuration, { timeoutNs: 100e6 });
    expect(partition.timers.expired).toBeGreaterThanOrEqual(9);
    expect(partition.timers.expired).toBeLessThanOrEqual(11);
    expect(partition.timers.latencyNs.p50).toBeGreaterThan(8e6);
  });

  it('hazard: the APIC timer runs fast for a guest that reads its count in a loop', () => {
    // One-shot, divided by 128, masked: 15,625 counts of 640 ns are 10 ms. Then read CCR until it is 0, and complete.
    const start = wrmsr(0x83e, 0xa) + wrmsr(0x832, 0x10000) + wrmsr(0x838, 15_625);
    const readUntilZero = 'b9 39080000 0f32 85c0 75fa';
    // mov rbx, 0xffff0000; mov dword [rbx], the command's address.
    const complete = '48bb 0000ffff00000000 c703 00102000';
    const completeCommand = Uint8Array.from([2, 0, 0, 0, 1]);
    const guest = smallGuest(machineCode(enableX2apic, start, readUntilZero, complete, SPIN), completeCommand);
    const { observer, armedAt } = watchTimers();
    const { outcome, partition } = runImage(guest, 0, configuration, { observer, tscHz: 1_000_000_000 });
    expect(outcome).toEqual({ kind: 'passed', reason: null });
    // At 1 GHz a tick is a nanosecond.
    const elapsedNs = partition.virtualNs - armedAt[0]!;
    expect(elapsedNs).toBeGreaterThan(9e6);
    expect(elapsedNs).toBeLessThan(10e6);
  });

  it('hazard: a periodic timer whose configuration is written twice a period never fires', () => {
    // A 1 ms timer; then for ever: half a millisecond of LOOP, and the same configuration again.
    const wait = 'b9 10270000 e2fe';
    const again = wrmsr(0x400000b0, PERIODIC);
    const code = machineCode(enableX2apic, startTimer(PERIODIC, MILLISECOND), wait, again, `eb ${(256 - machineCode(wait, again).length - 2).toString(16)}`);
    const { partition } = runImage(smallGuest(code), 0, configuration, { timeoutNs: 30e6 });
    expect(partition.timers.armed).toBeGreaterThan(50);
    expect(partition.timers.expired).toBe(0);
  });

  it('hazard: a timer that comes due while the local APIC is software-disabled is spent: its interrupt never comes', () => {
    // Due after 1 ms; 10 ms of LOOP with the APIC off, and 10 ms more with it on. Then complete, unless the vector is in IRR (bank 2).
    const wait = 'b9 400d0300 e2fe';
    const offAndOn = wrmsr(0x80f, 0xff) + startTimer(ONE_SHOT, MILLISECOND) + wait + wrmsr(0x80f, 0x1ff) + wait;
    const spinIfRequested = 'b9 22080000 0f32 85c0 75fe';
    const complete = '48bb 0000ffff00000000 c703 00102000';
    const guest = smallGuest(machineCode(enableX2apic, offAndOn, spinIfRequested, complete, SPIN), Uint8Array.from([2, 0, 0, 0, 1]));
    const { outcome, partition } = runImage(guest, 0, configuration, { timeoutNs: 100e6 });
    expect(outcome).toEqual({ kind: 'passed', reason: null });
    expect(partition.timers.expired).toBe(1);
  });

  it('hazard: a timer on a masked SINT waits without a word until the guest unmasks it', () => {
    // SIMP; a one-shot timer by message to SINT0, which is masked from reset, due after 1 ms; 10 ms of LOOP; unmask; and on.
    const code = machineCode(enableX2apic, wrmsr(0x40000083, SMALL_GUEST_DATA | 1), startTimer(1, MILLISECOND), 'b9 400d0300 e2fe', wrmsr(0x40000090, VECTOR), SPIN);
    const { observer, delivered } = watchTimers();
    runImage(smallGuest(code), 0, configuration, { observer, timeoutNs: 20e6 });
    expect(delivered).toHaveLength(1);
    expect(delivered[0]!.now - delivered[0]!.due).toBeGreaterThan(8 * MILLISECOND);
  });
});

describe.each(everyConfiguration)('an auto-EOI interrupt (%s)', (configuration) => {
  const AUTO_EOI_VECTOR = 0x51;
  const COUNTER = SMALL_GUEST_DATA + 0x800;
  const IDTR = SMALL_GUEST_DATA + 0x600;
  const word = (value: number): string => [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('');
  /** inc dword [counter]; iretq: no EOI, for either vector. It is at the start, behind a jump over it. */
  const handler = `eb09 ff0425 ${word(COUNTER)} 48cf`;
  /** Two timers due at the same time: STIMER0 in direct mode, STIMER1 by message to SINT2, whose vector is higher and auto-EOI. */
  const bothAtOnce = wrmsr(0x40000092, AUTO_EOI_VECTOR | (1 << 17)) + wrmsr(0x400000b0, ONE_SHOT | 8) + wrmsr(0x400000b2, 0x20008) + [0x400000b1, 0x400000b3].map((msr) => wrmsr(msr, 5 * MILLISECOND)).join('');
  /** Spins until the counter is 2, then completes. */
  const spinForBoth = `833c25 ${word(COUNTER)} 02 75f6 48bb 0000ffff00000000 c703 ${word(SMALL_GUEST_DATA)}`;

  function guest() {
    const data = new Uint8Array(0x900);
    data.set([2, 0, 0, 0, 1]);
    const gate = [2, 0, 8, 0, 0, 0x8e, 0x20, 0];
    for (const vector of [VECTOR, AUTO_EOI_VECTOR]) data.set(gate, 16 * vector);
    const view = new DataView(data.buffer);
    view.setUint16(0x600, 0x5ff, true);
    view.setUint32(0x602, SMALL_GUEST_DATA, true);
    return smallGuest(machineCode(handler, 'bc 00001f00', `0f011c25 ${word(IDTR)}`, enableX2apic, bothAtOnce, 'fb', spinForBoth, SPIN), data);
  }

  it('hazard: what waits behind it comes with the next exit, and never to a guest that spins', () => {
    const { outcome, partition } = runImage(guest(), 0, configuration, { timeoutNs: 50e6 });
    expect(outcome.kind).toBe('timeout');
    expect(partition.timers.expired).toBe(2);
  });

  it("the scheduler tick of VTL2's kernel is such an exit (vtl2TickHz)", () => {
    const { outcome, partition } = runImage(guest(), 0, configuration, { timeoutNs: 50e6, vtl2TickHz: 250 });
    expect(outcome.kind).toBe('passed');
    expect(partition.virtualNs).toBeLessThan(9.1e6);
  });

  it('with remedyAutoEoi the paravisor calls the VP back for it, 50 µs on', () => {
    const { outcome, partition } = runImage(guest(), 0, configuration, { timeoutNs: 50e6, remedyAutoEoi: true });
    expect(outcome.kind).toBe('passed');
    expect(partition.virtualNs).toBeLessThan(5.2e6);
  });
});

describe('under the TDX hardware timer', () => {
  it('hazard: a timer that was stopped still ends a run once: a stray exit 52', () => {
    const guest = smallGuest(machineCode(enableX2apic, startTimer(ONE_SHOT, MILLISECOND), stopTimer, SPIN));
    const { partition } = runImage(guest, 0, 'tdx, hardware timer', { timeoutNs: 5e6 });
    expect(partition.timers.expired).toBe(0);
    expect(partition.ledger.snapshot().byReason.paravisor.timer_expired).toBe(1);
  });

  it('hazard: a timer further ahead than the preemption timer reaches is lost; VmTime delivers it', () => {
    // 2^37 ticks of a 100 GHz counter are 1.4 s; the timer is due after 2 s.
    const guest = smallGuest(machineCode(enableX2apic, startTimer(ONE_SHOT, 2000 * MILLISECOND), SPIN));
    const options = { tscHz: 100_000_000_000, ips: 1_000_000, timeoutNs: 4e9 };
    const lost = runImage(guest, 0, 'tdx, hardware timer', options).partition;
    expect(lost.ledger.snapshot().byReason.paravisor.timer_expired).toBe(1);
    expect(lost.timers).toMatchObject({ armed: 1, expired: 0 });
    for (const configuration of ['tdx, VmTime', 'snp, VmTime'] as const) expect(runImage(guest, 0, configuration, options).partition.timers.expired).toBe(1);
  });

  it('hazard: an expiry that comes early by the rounding of the preemption timer loses the timer, were exits shorter than that', () => {
    // The timer counts in steps of 32 ticks: it may end the run up to 62 ticks early, and at 200 ticks to 100 ns that can be before the due time. The
    // odd period lets the phase wander, so that sooner or later it is.
    const guest = smallGuest(machineCode(enableX2apic, startTimer(PERIODIC, 3333), SPIN));
    const options = { ips: 400_000_000, timeoutNs: 20e6 };
    const costs = { vmExit: 1, kernelToUser: 1, vmEntry: 0, userToKernel: 0, vmmEmulation: 0, vtl2Rdtsc: 0, tdcall: 0 };
    const lost = runImage(guest, 0, 'tdx, hardware timer', { ...options, costs }).partition;
    // The round after the early expiry wants what is taken to be armed, and the driver has disarmed it.
    expect(lost.ledger.snapshot().byReason.paravisor.timer_expired).toBe(lost.timers.expired + 1);
    expect(lost.timers.expired).toBeLessThan(50);
    expect(runImage(guest, 0, 'tdx, VmTime', { ...options, costs }).partition.timers.expired).toBe(59);
    // At the default costs the way to user mode takes longer than the rounding: the round finds the timer due.
    expect(runImage(guest, 0, 'tdx, hardware timer', options).partition.timers.expired).toBe(59);
  });

  it('a periodic timer within reach ticks on', () => {
    const guest = smallGuest(machineCode(enableX2apic, startTimer(PERIODIC, MILLISECOND), SPIN));
    const { partition } = runImage(guest, 0, 'tdx, hardware timer', { timeoutNs: 20e6 });
    expect(partition.timers.expired).toBe(19);
  });
});
