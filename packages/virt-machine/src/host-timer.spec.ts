import { ExitDestination, ExitReason, HvMsr, HvRegister, HvStatus, RunStatus, U64 } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { machineCode, machineWith } from '../test/plain-machine.js';
import { VpClock } from './clock.js';
import { defaultCosts, withCosts } from './cost.js';
import { EventQueue } from './events.js';
import { NONSENSE, hostTimerFigures } from './host-options.js';
import type { HostTimerManner } from './host-options.js';
import { HostTimer } from './host-timer.js';
import type { Machine, MachineOptions } from './machine.js';

const TSC_HZ = 2_000_000_000;
const ticks = (ns: number): number => (ns * TSC_HZ) / 1e9;
const { delayNs, repeatAfterNs, floodPeriodNs } = hostTimerFigures;

let clock: VpClock;
let events: EventQueue;
let happened: string[];

beforeEach(() => {
  clock = new VpClock(TSC_HZ, TSC_HZ);
  events = new EventQueue();
  happened = [];
});

function timerOf(manner: HostTimerManner): HostTimer {
  return new HostTimer({
    index: 0,
    clock,
    events,
    manner,
    expire: (time) => void happened.push(`expiry ${time}`),
    interruptForNothing: (time) => void happened.push(`nothing ${time}`),
  });
}

function runTo(tick: number): string[] {
  while (events.nextTime <= tick) {
    clock.skipTo(events.nextTime);
    events.happenNext(tick);
  }
  clock.skipTo(tick);
  return happened.splice(0);
}

describe('what a host does with VTL2’s clock event device', () => {
  it('honest: each expiry once, at its tick; programmed anew, what it was before does not come', () => {
    const timer = timerOf('honest');
    timer.program(1000);
    timer.program(3000);
    expect(timer.expiry).toBe(3000);
    expect(runTo(1_000_000)).toEqual(['expiry 3000']);
    expect(timer.expiry).toBe(Infinity);
  });

  it('drop: none', () => {
    timerOf('drop').program(1000);
    expect(runTo(1e12)).toEqual([]);
  });

  it('delay: each five milliseconds late; one that is programmed anew meanwhile never', () => {
    const timer = timerOf('delay');
    timer.program(1000);
    expect(runTo(1e9)).toEqual([`expiry ${1000 + ticks(delayNs)}`]);
    timer.program(2e9);
    runTo(2e9 + ticks(delayNs) - 1);
    timer.program(3e9);
    expect(runTo(1e10)).toEqual([`expiry ${3e9 + ticks(delayNs)}`]);
  });

  it('repeat: each twice, fifty microseconds apart, and no more', () => {
    const timer = timerOf('repeat');
    timer.program(1000);
    expect(runTo(1e9)).toEqual(['expiry 1000', `expiry ${1000 + ticks(repeatAfterNs)}`]);
    expect(runTo(1e12)).toEqual([]);
  });

  it('flood: an interrupt for nothing every twenty microseconds besides, whether or not anything is programmed', () => {
    const timer = timerOf('flood');
    timer.program(ticks(floodPeriodNs) + 5);
    const period = ticks(floodPeriodNs);
    expect(runTo(4 * period)).toEqual([`nothing ${period}`, `expiry ${period + 5}`, `nothing ${2 * period}`, `nothing ${3 * period}`, `nothing ${4 * period}`]);
  });
});

describe('under a host that floods', () => {
  const run = (options: Partial<MachineOptions>): Machine => {
    const machine = machineWith(machineCode('ebfe'), { host: { timer: 'flood' }, ...options });
    machine.schedule(machine.tscHz / 100, () => machine.stop());
    for (let vp = machine.nextVp(); vp >= 0; vp = machine.nextVp()) machine.hcl.vps[vp]!.run();
    return machine;
  };
  const interrupts = (machine: Machine): number => machine.ledger.countOf(ExitDestination.Hypervisor, ExitReason.host_interrupt);

  it('guests go on, slower: each interrupt is an exit of the host’s', () => {
    const machine = run({ vps: 2 });
    // The next is twenty microseconds after the one before was through.
    const every = ticks(floodPeriodNs) + defaultCosts.ticks.hostInterrupt;
    expect(interrupts(machine) / 2).toBeCloseTo(machine.tscHz / 100 / every, -1);
    expect(machine.retired).toBeGreaterThan(250_000);
  });

  it.each(['hostInterrupt', 'kernelInterrupt', 'vmExit'] as const)('the machine ends even if an interrupt takes longer than they are apart: %s', (name) => {
    const machine = run({ costs: withCosts(defaultCosts, { [name]: 10 * ticks(floodPeriodNs) }) });
    expect(machine.stopped).toBe(true);
    expect(interrupts(machine)).toBeGreaterThan(20);
  });

  it('each interrupt makes the kernel program its device anew while it has a timer to wait for (hrtimers)', () => {
    const machine = machineWith(machineCode('ebfe'), { host: { timer: 'flood' } });
    machine.hcl.vps[0]!.armTimer(U64.of(1_000_000));
    expect(machine.hcl.vps[machine.nextVp()]!.run()).toBe(RunStatus.Cancelled);
    const arms = machine.ledger.countOf(ExitDestination.Hypervisor, ExitReason.timer_arm);
    expect(arms).toBe(1 + interrupts(machine));
    expect(arms).toBeGreaterThan(30);
    expect(machine.ledger.countOf(ExitDestination.Hypervisor, ExitReason.timer_expiry)).toBe(1);
  });
});

describe('a host that answers nonsense', () => {
  const machines = ['honest', 'nonsense'].map((answers) => machineWith(machineCode('ebfe'), { host: { answers: answers as 'honest' | 'nonsense' } }));
  const values = (read: (machine: Machine, out: U64) => void): bigint[] =>
    machines.map((machine) => {
      const out = new U64();
      read(machine, out);
      return out.toBigInt();
    });

  it.each([HvMsr.TscFrequency, HvMsr.ApicFrequency, HvMsr.VpIndex, HvMsr.TimeRefCount])('MSR %i has its low half scrambled', (msr) => {
    const [truth, lie] = values((machine, out) => void machine.hcl.vps[0]!.rdmsr(msr, out));
    expect(lie! ^ truth!).toBe(BigInt(NONSENSE));
  });

  it('so have VP registers, and every call succeeds', () => {
    const [truth, lie] = values((machine, out) => void machine.hcl.vps[0]!.getVpRegister(HvRegister.VpIndex, out));
    expect(lie! ^ truth!).toBe(BigInt(NONSENSE));
    const [honest, nonsense] = machines.map((machine) => machine.hcl.vps[0]!.setVpRegister(HvRegister.VpIndex, new U64()));
    expect([honest, nonsense]).toEqual([HvStatus.InvalidParameter, HvStatus.Success]);
    const output = new Uint8Array(4);
    expect(machines.map((machine) => machine.hcl.hvcall(new U64(), new Uint8Array(), output))).toEqual([HvStatus.InvalidHypercallCode, HvStatus.Success]);
    expect([...output]).toEqual([0x5a, 0x5a, 0x5a, 0x5a]);
  });

  it('the processor’s own time stamp counter is not the host’s to answer', () => {
    const [truth, same] = values((machine, out) => void machine.hcl.vps[0]!.rdmsr(0x10, out));
    expect(same).toBe(truth);
  });
});
