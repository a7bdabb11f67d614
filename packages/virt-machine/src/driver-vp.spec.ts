import {
  Errno,
  ExitDestination,
  ExitReason,
  HvMsr,
  HvRegister,
  HvStatus,
  RunFlag,
  RunStatus,
  U64,
  newTdcallArgument,
  viewRunPage,
} from '@paravisor/hcl-protocol';
import type { RunPage } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { VpClock } from './clock.js';
import { PathOutcome } from './contract.js';
import { silentMachineObserver } from './observer.js';
import type { IsolationVp } from './contract.js';
import { costFigures, costNames, defaultCosts, withCosts } from './cost.js';
import type { CostModel } from './cost.js';
import { DriverVp } from './driver-vp.js';
import { EventQueue } from './events.js';
import { HostAnswers } from './host-answers.js';
import { HostVp } from './host.js';
import { KernelTimers } from './kernel-timers.js';
import { Ledger } from './ledger.js';
import { OsTime } from './os-time.js';
import { Schedule } from './schedule.js';
import { Vtl2Processor } from './vtl2-processor.js';

const TSC_HZ = 2_000_000_000;
const { ticks: cost } = defaultCosts;

/** An isolation whose guest runs as the test says: each entry takes 1000 ticks, unless VTL2 is interrupted. */
class ScriptedIsolation implements IsolationVp {
  pullProxiedInterrupts?: () => boolean;
  readonly interceptMessagePresent = false;
  /** What happened, in order. */
  readonly calls: string[] = [];
  /** Outcomes of the next entries; Exit when it runs out. */
  readonly entries: (() => PathOutcome)[] = [];
  wake: PathOutcome = PathOutcome.Again;
  /** Times it was told that the ioctl returns. */
  returns = 0;
  onIdle = () => {};

  enter(): PathOutcome {
    this.calls.push('enter');
    return this.entries.shift()?.() ?? PathOutcome.Exit;
  }
  beforeIdle(): void {
    this.calls.push('beforeIdle');
    this.onIdle();
  }
  afterIdle(): PathOutcome {
    this.calls.push('afterIdle');
    return this.wake;
  }
  beforeReturn(): void {
    this.returns++;
  }
  userExitReason(): number {
    return ExitReason.msr_write;
  }
  tdcall(): number {
    return Errno.EINVAL;
  }
  pvalidate(): number {
    return 0;
  }
  rmpadjust(): number {
    return 0;
  }
  vmsa(): Uint8Array | null {
    return null;
  }
  save(): null {
    return null;
  }
  restore(): void {}
}

let clock: VpClock;
let host: HostVp;
let schedule: Schedule;
let timers: KernelTimers;
let ledger: Ledger;
let isolation: ScriptedIsolation;
let driver: DriverVp;
let page: RunPage;

beforeEach(() => build(defaultCosts));

function build(costs: CostModel, tickNs = 0): void {
  clock = new VpClock(TSC_HZ, TSC_HZ);
  const events = new EventQueue();
  ledger = new Ledger(1, silentMachineObserver, []);
  host = new HostVp({ index: 0, clock, events, ledger, costs, observer: silentMachineObserver });
  schedule = new Schedule({ vps: [{ clock, host }], events, quantumTicks: 0, seed: 0 });
  const osTime = new OsTime(TSC_HZ);
  timers = new KernelTimers(clock, host, osTime);
  isolation = new ScriptedIsolation();
  const runPage = new Uint8Array(4096);
  page = viewRunPage(runPage);
  driver = new DriverVp({
    vp: { index: 0, clock, host, timers, costs, ledger, runPage, apicPage: new Uint8Array(4096) },
    isolation,
    schedule,
    osTime,
    processor: new Vtl2Processor('intel', TSC_HZ),
    isolationCpuid: () => false,
    hostCallReason: ExitReason.tdvmcall,
    answers: new HostAnswers('honest'),
    currentTick: () => clock.now,
    callHostFromCurrent: () => host.call(ExitReason.tdvmcall),
    lastVtl: () => 0,
    tickNs,
    writeXcr0: (value) => value.lo === 1,
  });
}

const userExits = () => ledger.snapshot().byReason.user;
const hostExits = (reason: 'timer_arm' | 'timer_expiry' | 'halt' | 'tdvmcall') => ledger.countOf(ExitDestination.Hypervisor, ExitReason[reason]);
/** A guest that runs until VTL2 is interrupted. */
const runUntilInterrupted = (outcome: PathOutcome) => () => {
  while (!host.vtl2InterruptPending) {
    clock.advance(1);
    schedule.happenDue();
  }
  return outcome;
};

describe('run: the common part of RETURN_TO_LOWER_VTL', () => {
  it('enters, and returns an exit for user mode under the reason the isolation gives', () => {
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(isolation.calls).toEqual(['enter']);
    expect(userExits()).toEqual({ msr_write: 1 });
    expect(clock.now).toBe(cost.userToKernel + cost.kernelToUser + cost.vmmEmulation);
  });

  it('goes round in the kernel for what the driver finishes itself', () => {
    isolation.entries.push(() => PathOutcome.Again, () => PathOutcome.Again);
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(isolation.calls).toEqual(['enter', 'enter', 'enter']);
    expect(userExits()).toEqual({ msr_write: 1 });
  });

  it('returns EINTR and enters nothing when cancel is set; that too is a user exit (facts §5)', () => {
    page.cancel = 1;
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(isolation.calls).toEqual([]);
    expect(userExits()).toEqual({ cancelled: 1 });
    expect(page.cancel).toBe(1);
  });

  it('tells the isolation once that it returns to user mode, whatever the result, and not while it goes round (openvmm PR 4224: the kernel cancels its timer)', () => {
    isolation.entries.push(() => PathOutcome.Again, () => PathOutcome.Pending, () => PathOutcome.Exit);
    expect(driver.run()).toBe(RunStatus.Pending);
    expect(isolation.returns).toBe(0);
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(isolation.returns).toBe(1);
    page.cancel = 1;
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(isolation.returns).toBe(2);
  });

  it('looks at cancel before each entry, not only the first', () => {
    isolation.entries.push(() => {
      page.cancel = 1;
      return PathOutcome.Again;
    });
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(isolation.calls).toEqual(['enter']);
  });

  it('returns EINTR for a proxy scan, unless the isolation takes proxied interrupts itself', () => {
    page.scanProxyIrr = 1;
    expect(driver.run()).toBe(RunStatus.Cancelled);
    isolation.pullProxiedInterrupts = () => false;
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(isolation.calls).toEqual(['enter']);
  });

  it('stays inside the ioctl while an entry is pending, and goes on there without looking at cancel', () => {
    isolation.entries.push(() => PathOutcome.Pending);
    expect(driver.run()).toBe(RunStatus.Pending);
    const { now } = clock;
    page.cancel = 1;
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(isolation.calls).toEqual(['enter', 'enter']);
    expect(clock.now).toBe(now + cost.kernelToUser + cost.vmmEmulation);
  });

  it('does nothing on a stopped machine', () => {
    schedule.stopped = true;
    expect(driver.run()).toBe(RunStatus.Pending);
    expect(isolation.calls).toEqual([]);
    expect(clock.now).toBe(0);
  });
});

describe("the poll file's timeout (facts §2: one exit to arm, one to expire)", () => {
  it('interrupts a running guest, sets cancel, and run returns EINTR', () => {
    driver.armTimer(U64.of(1_000_000));
    isolation.entries.push(runUntilInterrupted(PathOutcome.Again));
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(isolation.calls).toEqual(['enter']);
    expect(page.cancel).toBe(1);
    expect([hostExits('timer_arm'), hostExits('timer_expiry')]).toEqual([1, 1]);
    expect(clock.now).toBeGreaterThan(2_000_000);
  });

  it('lets an exit of the guest at the same time come first: EINTR is for the next run', () => {
    driver.armTimer(U64.of(1_000_000));
    isolation.entries.push(runUntilInterrupted(PathOutcome.Exit));
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(page.cancel).toBe(1);
    expect(driver.run()).toBe(RunStatus.Cancelled);
  });

  it('armed for an unchanged time makes no system call and no exit', () => {
    driver.armTimer(U64.of(1_000_000));
    const { now } = clock;
    driver.armTimer(U64.of(1_000_000));
    expect(clock.now).toBe(now);
    expect(hostExits('timer_arm')).toBe(1);
  });

  it('cancelled, still expires as an exit, but sets no cancel (assumption of architecture.md)', () => {
    driver.armTimer(U64.of(1_000_000));
    driver.cancelTimer();
    isolation.entries.push(runUntilInterrupted(PathOutcome.Again));
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(page.cancel).toBe(0);
    expect([hostExits('timer_arm'), hostExits('timer_expiry')]).toEqual([1, 1]);
  });

  it('in the past expires before anything is entered', () => {
    clock.skipTo(5_000_000);
    driver.armTimer(U64.of(1));
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(isolation.calls).toEqual([]);
    expect([hostExits('timer_arm'), hostExits('timer_expiry')]).toEqual([1, 1]);
  });

  it('beyond every exact time is never', () => {
    driver.armTimer(new U64().setParts(-1, -1));
    expect(hostExits('timer_arm')).toBe(0);
    expect(host.clockEventExpiry).toBe(Infinity);
  });
});

describe('a halted VP (HALTED flag)', () => {
  beforeEach(() => {
    page.flags = RunFlag.Halted;
  });

  it('halts at the host until its timer, without running a lower VTL', () => {
    driver.armTimer(U64.of(1_000_000));
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(isolation.calls).toEqual(['beforeIdle', 'afterIdle']);
    expect([hostExits('timer_arm'), hostExits('timer_expiry'), hostExits('halt')]).toEqual([1, 1, 1]);
    expect(clock.now).toBe(2_000_000 + cost.hostInterrupt + cost.hostWake + cost.kernelInterrupt + cost.kernelToUser);
    expect(userExits()).toEqual({ cancelled: 1 });
  });

  it('returns the exit that the isolation fakes on waking (mshv_vtl PR 107)', () => {
    const halt = timers.create(() => {});
    isolation.onIdle = () => halt.startAfter(500_000);
    isolation.wake = PathOutcome.Exit;
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(userExits()).toEqual({ msr_write: 1 });
    expect(isolation.calls).toEqual(['beforeIdle', 'afterIdle']);
  });

  it('reaches a tick its timer is a little early for, every time, even at the least costs: no loop stands still', () => {
    build(withCosts(defaultCosts, Object.fromEntries(costNames.map((name) => [name, costFigures[name].minimum]))));
    const timer = timers.create(() => {});
    const wanted = clock.now + 50;
    // As the TDX path idles towards a deadline less than a nanosecond away: its timer is due at once, the deadline is not.
    isolation.onIdle = () => {
      if (isolation.calls.length > 1000) throw new Error('the VP idles for ever, and its clock stands');
      timer.startAfter(0);
      isolation.wake = clock.now >= wanted ? PathOutcome.Exit : PathOutcome.Again;
    };
    page.flags = RunFlag.Halted;
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(clock.now).toBeGreaterThanOrEqual(wanted);
  });

  it('idles again after an interrupt that ends nothing: each time is a halt', () => {
    driver.armTimer(U64.of(1_000_000));
    driver.cancelTimer();
    host.interruptVtl2(8_000_000);
    expect(driver.run()).toBe(RunStatus.Pending);
    expect(isolation.calls).toEqual(['beforeIdle', 'afterIdle', 'beforeIdle', 'afterIdle', 'beforeIdle']);
    expect([hostExits('timer_expiry'), hostExits('halt')]).toEqual([1, 3]);
  });

  it('does not halt for an interrupt that came while it made ready', () => {
    isolation.onIdle = () => timers.create(() => (page.cancel = 1)).start(clock.now + 1);
    expect(driver.run()).toBe(RunStatus.Cancelled);
    expect(hostExits('halt')).toBe(0);
  });

  it('skips to the end of the run when nothing will wake it, and returns Pending', () => {
    schedule.at(50_000_000, () => (schedule.stopped = true));
    expect(driver.run()).toBe(RunStatus.Pending);
    expect(clock.now).toBe(50_000_000);
    expect(schedule.nextVp()).toBe(-1);
  });

  it('returns Pending, and is never scheduled again, when nothing at all will happen', () => {
    expect(driver.run()).toBe(RunStatus.Pending);
    expect(schedule.nextVp()).toBe(-1);
  });
});

describe('the rest of the line', () => {
  it('gives time as VTL2 reads it, and lets it pass', () => {
    clock.skipTo(3_000_001);
    const out = new U64();
    driver.rdtsc(out);
    expect(out.toNumber()).toBe(3_000_001);
    driver.osTimeNs(out);
    expect(out.toNumber()).toBe(Math.floor((3_000_001 + cost.vtl2Rdtsc) / 2));
    expect(clock.now).toBe(3_000_001 + 2 * cost.vtl2Rdtsc);
  });

  it('takes an interrupt that comes while user mode works', () => {
    driver.armTimer(U64.of(10_000));
    const out = new U64();
    while (clock.now < 20_000) driver.rdtsc(out);
    driver.rdtsc(out);
    expect(page.cancel).toBe(1);
  });

  it('reads the TSC without the host, and synthetic MSRs through it', () => {
    const out = new U64();
    expect(driver.rdmsr(0x10, out)).toBe(true);
    expect(hostExits('tdvmcall')).toBe(0);
    expect(driver.rdmsr(HvMsr.TscFrequency, out)).toBe(true);
    expect(out.toNumber()).toBe(TSC_HZ);
    expect(driver.rdmsr(HvMsr.ApicFrequency, out)).toBe(true);
    expect(out.toNumber()).toBe(200_000_000);
    expect(hostExits('tdvmcall')).toBe(2);
    expect(driver.rdmsr(0x1b, out)).toBe(false);
  });

  it('knows two VP registers', () => {
    const out = new U64();
    expect(driver.getVpRegister(HvRegister.VpIndex, out)).toBe(HvStatus.Success);
    expect(out.toNumber()).toBe(0);
    clock.skipTo(2_000_000_000);
    expect(driver.getVpRegister(HvRegister.TimeRefCount, out)).toBe(HvStatus.Success);
    const ticks = 2_000_000_000n + BigInt(cost.userToKernel + cost.hostCall);
    expect(out.toBigInt()).toBe((ticks * ((10_000_000n << 64n) / 2_000_000_000n)) >> 64n);
    expect(driver.getVpRegister(0x1234, out)).toBe(HvStatus.InvalidParameter);
    expect(driver.setVpRegister(HvRegister.VpIndex, out)).toBe(HvStatus.InvalidParameter);
  });

  it('charges a TDCALL its way into the kernel and back, and passes its errno on', () => {
    expect(driver.tdcall(newTdcallArgument())).toBe(Errno.EINVAL);
    expect(clock.now).toBe(cost.userToKernel + cost.kernelToUser);
  });
});

describe("the scheduler tick of VTL2's kernel", () => {
  const TICK_NS = 4_000_000;
  const TICK = (TICK_NS * TSC_HZ) / 1e9;
  beforeEach(() => build(defaultCosts, TICK_NS));

  it('goes on inside a run: an arm and an expiry at the host each, and the lower VTL is left each time (Linux, CONFIG_HZ)', () => {
    isolation.entries.push(runUntilInterrupted(PathOutcome.Again), runUntilInterrupted(PathOutcome.Again), runUntilInterrupted(PathOutcome.Exit));
    expect(driver.run()).toBe(RunStatus.Finished);
    expect(isolation.calls).toEqual(['enter', 'enter', 'enter']);
    expect([hostExits('timer_arm'), hostExits('timer_expiry')]).toEqual([4, 3]);
    expect(clock.now).toBeGreaterThan(3 * TICK);
    expect(clock.now).toBeLessThan(3 * TICK + 0.01 * TICK);
  });

  it('keeps its phase over runs that end before it', () => {
    driver.run();
    const due = clock.now;
    driver.run();
    expect(hostExits('timer_arm')).toBe(1);
    let came = 0;
    isolation.entries.push(() => {
      const outcome = runUntilInterrupted(PathOutcome.Exit)();
      came = clock.now;
      return outcome;
    });
    driver.run();
    expect(came).toBeLessThan(due + TICK);
  });

  it('stands still while the CPU is idle, and its stale expiry wakes nobody twice (Linux, NO_HZ_IDLE)', () => {
    driver.run();
    page.flags = RunFlag.Halted;
    isolation.onIdle = () => schedule.at(clock.now + 10 * TICK, () => driver.wake());
    driver.run();
    expect(hostExits('timer_arm')).toBe(1);
    expect(hostExits('timer_expiry')).toBeLessThanOrEqual(1);
  });
});
