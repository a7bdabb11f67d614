import { ExitDestination, ExitReason, U64 } from '@paravisor/hcl-protocol';
import { createParavisor } from '@paravisor/virt-core';
import type { Chipset } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import { describe, expect, it } from 'vitest';
import { tdxBacking } from '../src/index.js';
import type { TdxBackingOptions } from '../src/index.js';
import { At, DONE_PORT, GUEST_TICKS, loadSmallGuest, startAt } from './small-guest.js';

const { Paravisor, User, Hypervisor } = ExitDestination;

interface RunOptions {
  readonly rip: number;
  readonly backing?: TdxBackingOptions;
  readonly disableLowerVtlTimerVirt?: boolean;
  readonly tscHz?: number;
  readonly ips?: number;
}

/** Runs the small guest on a whole partition until it says that it is done, for one virtual second at most. */
function runGuest({ rip, backing: options, disableLowerVtlTimerVirt = false, tscHz = 2_000_000_000, ips = 20_000_000 }: RunOptions) {
  const backing = tdxBacking(options);
  const machine = createMachine({ backing: backing.machine, ramBytes: 4 << 20, tscHz, ips });
  loadSmallGuest(machine);
  let done = false;
  const chipset: Chipset = {
    readMmio: (_gpa, _size, out) => void out.setParts(-1, -1),
    writeMmio: () => {},
    readPort: () => 0xffffffff,
    writePort(port) {
      done ||= port === DONE_PORT;
      machine.stop();
    },
  };
  machine.schedule(tscHz, () => machine.stop());
  const paravisor = createParavisor({ backing, hcl: machine.hcl, chipset, disableLowerVtlTimerVirt, initialRegisters: startAt(rip) });
  while (machine.nextVp() >= 0) if (paravisor.vps[0]!.run() !== null) break;
  const counter = new U64();
  machine.hcl.memory.readU64(At.counter, counter);
  const count = (destination: ExitDestination, reason: keyof typeof ExitReason) => machine.ledger.countOf(destination, ExitReason[reason]);
  return { done, ticks: counter.toNumber(), fault: paravisor.fault, usesHardwareTimer: paravisor.usesHardwareTimer, count, machine };
}

describe('a TDX partition whose guest has a 1000 Hz synthetic timer', () => {
  it.each([
    ['2 GHz', 2_000_000_000, 20_000_000],
    ['an odd frequency', 2_100_000_123, 7_000_003],
  ])('makes no hypervisor exit to arm or expire it while the guest is busy (PR 2483), at %s', (_, tscHz, ips) => {
    const run = runGuest({ rip: At.busy, tscHz, ips });
    expect(run).toMatchObject({ fault: null, done: true, ticks: GUEST_TICKS, usesHardwareTimer: true });
    expect(run.count(Hypervisor, 'timer_arm')).toBe(0);
    expect(run.count(Hypervisor, 'timer_expiry')).toBe(0);
    expect(run.count(Paravisor, 'timer_expired')).toBe(GUEST_TICKS);
    expect(run.count(User, 'timer_expired')).toBe(GUEST_TICKS);
  });

  it('makes the host’s exits after all while the guest halts (mshv_vtl PR 107), and the expiry is a faked one', () => {
    const run = runGuest({ rip: At.idle });
    expect(run).toMatchObject({ fault: null, done: true, ticks: GUEST_TICKS, usesHardwareTimer: true });
    expect(run.count(Paravisor, 'hlt')).toBe(GUEST_TICKS);
    expect(run.count(Paravisor, 'timer_expired')).toBe(0);
    expect(run.count(User, 'timer_expired')).toBe(GUEST_TICKS);
    for (const reason of ['timer_arm', 'timer_expiry', 'halt'] as const) expect(run.count(Hypervisor, reason)).toBe(GUEST_TICKS);
  });

  it.each([At.busy, At.idle])('arms the host timer instead when OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT is set, guest at %i', (rip) => {
    const run = runGuest({ rip, disableLowerVtlTimerVirt: true });
    expect(run).toMatchObject({ fault: null, done: true, ticks: GUEST_TICKS, usesHardwareTimer: false });
    expect(run.count(Paravisor, 'timer_expired')).toBe(0);
    expect(run.count(Hypervisor, 'timer_arm')).toBeGreaterThanOrEqual(GUEST_TICKS);
    expect(run.count(Hypervisor, 'timer_expiry')).toBeGreaterThanOrEqual(GUEST_TICKS);
  });

  it('falls back to VmTime when the kernel answers that it lacks the capability (PR 2483)', () => {
    const run = runGuest({ rip: At.busy, backing: { timerCapability: 'absent' } });
    expect(run).toMatchObject({ fault: null, done: true, ticks: GUEST_TICKS, usesHardwareTimer: false });
    expect(run.count(Hypervisor, 'timer_arm')).toBeGreaterThanOrEqual(GUEST_TICKS);
  });

  it('does not start when the kernel does not know the capability (PR 4053)', () => {
    expect(() => runGuest({ rip: At.busy, backing: { timerCapability: 'failed' } })).toThrow(expect.objectContaining({ name: 'StartupError', code: 'lower-vtl-timer-unknown' }));
  });

  it('runs twice alike', () => {
    const [first, second] = [runGuest({ rip: At.busy }), runGuest({ rip: At.busy })];
    expect(first.machine.ledger.snapshot()).toEqual(second.machine.ledger.snapshot());
    expect(first.machine.now).toBe(second.machine.now);
  });
});
