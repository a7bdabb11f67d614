/** A machine: everything below VTL2, put together. */
import { ExitReason } from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { createMachineMemory, createProcessor } from '@paravisor/x86-cpu';
import type { MachineMemory, Processor } from '@paravisor/x86-cpu';
import { VpClock, checkTimeBase } from './clock.js';
import { silentMachineObserver } from './observer.js';
import type { GuestStop, MachineBacking, VpMachine } from './contract.js';
import type { MachineObserver } from './observer.js';
import { defaultCosts } from './cost.js';
import type { CostModel } from './cost.js';
import { DriverVp } from './driver-vp.js';
import { Driver } from './driver.js';
import { EventQueue } from './events.js';
import type { MachineEvent } from './events.js';
import { GuestRam } from './guest-memory.js';
import { ContextClock, runGuest } from './guest-run.js';
import { HostVp } from './host.js';
import { KernelTimers } from './kernel-timers.js';
import { Ledger } from './ledger.js';
import { OsTime } from './os-time.js';
import { Schedule } from './schedule.js';
import { Vtl2Processor } from './vtl2-processor.js';

export interface MachineOptions {
  readonly backing: MachineBacking;
  /** Guest RAM, a multiple of 4096, from guest physical 0. */
  readonly ramBytes: number;
  /** Virtual TSC frequency, Hz. Default 2000000000. */
  readonly tscHz?: number;
  /** Guest instructions a virtual second, at most `tscHz`. Default 20000000. */
  readonly ips?: number;
  /** Virtual processors. Default 1. */
  readonly vps?: number;
  readonly costs?: CostModel;
  /** Permutes the order of VPs whose clocks are equal; changes nothing else. Default 0, the order of their numbers. */
  readonly seed?: number;
  /** How many ticks one VP may run ahead of the next. Default 0: by the instruction. */
  readonly quantumTicks?: number;
  readonly observer?: MachineObserver;
}

/** A machine as whoever drives a partition sees it. */
export interface Machine {
  /** The ioctl line to VTL2's user mode. */
  readonly hcl: Hcl;
  readonly ledger: Ledger;
  readonly costs: CostModel;
  readonly tscHz: number;
  readonly ips: number;
  readonly clocks: readonly VpClock[];
  readonly vps: readonly VpMachine[];
  readonly memory: MachineMemory;
  readonly osTime: OsTime;
  /** Guest instructions retired by all VPs and VTLs. */
  readonly retired: number;
  /** The VPs' furthest clock, ticks. */
  readonly now: number;
  /** `stop` was called. */
  readonly stopped: boolean;
  /** Copies a loader's bytes into guest RAM. @throws {RangeError} when they do not fit. */
  loadImage(gpa: number, bytes: Uint8Array): void;
  /**
   * Calls `happen` once, when every VP that can run has reached the absolute tick `tick`; idle time is skipped up to it. For the end of the time a
   * partition is given: call `stop` in it.
   */
  schedule(tick: number, happen: (tick: number) => void): MachineEvent;
  /** Takes back what was scheduled. */
  unschedule(event: MachineEvent): void;
  /** Ends the run: from now on `run` returns Pending and `nextVp` −1. */
  stop(): void;
  /**
   * The VP whose turn it is: the one to call `run` for until it returns Pending. −1 when the machine is stopped, or when all VPs are idle and nothing will
   * ever wake one.
   */
  nextVp(): number;
}

const LOWER_VTLS = 2;
/** Run page, APIC page, VMSA of VTL0 and VTL1. */
const PAGES_A_VP = 4;

/** @throws {RangeError} for an impossible number of VPs, size of RAM, or time base. */
export function createMachine(options: MachineOptions): Machine {
  const { backing, ramBytes, tscHz = 2_000_000_000, ips = 20_000_000, vps: vpCount = 1, seed = 0, quantumTicks = 0 } = options;
  const { costs = defaultCosts, observer = silentMachineObserver } = options;
  checkTimeBase(tscHz, ips);
  if (!Number.isInteger(vpCount) || vpCount < 1) throw new RangeError(`a machine has at least one VP, not ${vpCount}`);

  const memory = createMachineMemory({ contexts: vpCount * LOWER_VTLS, ramBytes, permissionTables: LOWER_VTLS, hostPages: vpCount * PAGES_A_VP });
  const ledger = new Ledger(vpCount, observer, backing.exitReasons ?? []);
  const events = new EventQueue();
  const osTime = new OsTime(tscHz);
  const ram = new GuestRam(memory);
  const isolation = backing.create({ memory, costs, tscHz, vpCount, permissionTableOf: (vtl) => vtl });

  const hosts = Array.from({ length: vpCount }, (_, index) => {
    const clock = new VpClock(tscHz, ips);
    return { clock, host: new HostVp({ index, clock, events, ledger, costs, observer }) };
  });
  const schedule = new Schedule({ vps: hosts, events, quantumTicks, seed });
  const vps = hosts.map(
    ({ clock, host }, index) =>
      new MachineVp({ index, clock, host, schedule, costs, ledger, observer, memory, timers: new KernelTimers(clock, host, osTime) }, backing.processorVendor),
  );
  const hostCallReason = isolation.hostCallReason ?? ExitReason.other;
  const processor = new Vtl2Processor(backing.processorVendor, tscHz);
  const callHostFromCurrent = (): number => {
    const { host, clock } = hosts[schedule.current]!;
    host.call(hostCallReason);
    return clock.now;
  };
  const hcl = new Driver({
    isolation,
    memory: ram,
    callHost: callHostFromCurrent,
    vps: vps.map(
      (vp) =>
        new DriverVp({
          vp,
          isolation: isolation.createVp(vp),
          schedule,
          osTime,
          processor,
          isolationCpuid: (leaf, subleaf, out) => isolation.cpuid(leaf, subleaf, out),
          hostCallReason,
          callHostFromCurrent,
          lastVtl: () => vp.lastVtl,
        }),
    ),
  });

  return {
    hcl,
    ledger,
    costs,
    tscHz,
    ips,
    clocks: hosts.map(({ clock }) => clock),
    vps,
    memory,
    osTime,
    get retired() {
      return hosts.reduce((sum, { clock }) => sum + clock.retired, 0);
    },
    get now() {
      return Math.max(...hosts.map(({ clock }) => clock.now));
    },
    get stopped() {
      return schedule.stopped;
    },
    loadImage(gpa, bytes) {
      if (!ram.write(gpa, bytes)) throw new RangeError(`${bytes.length} bytes at guest physical ${gpa} do not fit into ${ramBytes} bytes of RAM`);
    },
    schedule: (tick, happen) => schedule.at(tick, happen),
    unschedule: (event) => events.cancel(event),
    stop() {
      schedule.stopped = true;
    },
    nextVp: () => schedule.nextVp(),
  };
}

/** What a machine gives one of its VPs. */
type MachineVpParts = Pick<VpMachine, 'index' | 'clock' | 'host' | 'timers' | 'costs' | 'ledger' | 'observer' | 'memory'> & { readonly schedule: Schedule };

/** One VP: its register contexts and pages, and the way to run a context in virtual time. */
class MachineVp implements VpMachine {
  readonly index: number;
  readonly clock: VpClock;
  readonly host: HostVp;
  readonly timers: KernelTimers;
  readonly costs: CostModel;
  readonly ledger: Ledger;
  readonly observer: MachineObserver;
  readonly memory: MachineMemory;
  readonly processors: readonly Processor[];
  readonly runPage: Uint8Array;
  readonly apicPage: Uint8Array;
  readonly vmsaPages: readonly Uint8Array[];
  /** The lower VTL that ran last; VTL0 at first. */
  lastVtl = 0;
  readonly #parts: MachineVpParts;
  readonly #times: readonly ContextClock[];

  constructor(parts: MachineVpParts, vendor: 'intel' | 'amd') {
    this.#parts = parts;
    this.index = parts.index;
    this.clock = parts.clock;
    this.host = parts.host;
    this.timers = parts.timers;
    this.costs = parts.costs;
    this.ledger = parts.ledger;
    this.observer = parts.observer;
    this.memory = parts.memory;
    const page = (kind: number) => parts.memory.hostPage(parts.index * PAGES_A_VP + kind);
    this.runPage = page(0);
    this.apicPage = page(1);
    this.vmsaPages = [page(2), page(3)];
    this.#times = Array.from({ length: LOWER_VTLS }, () => new ContextClock(parts.clock));
    this.processors = this.#times.map((clock, vtl) => {
      const processor = createProcessor(parts.memory, { index: parts.index * LOWER_VTLS + vtl, permissionTable: vtl, vendor, clock });
      clock.attach(processor);
      return processor;
    });
  }

  runGuest(processor: Processor, deadlineTicks: number): GuestStop {
    this.lastVtl = processor === this.processors[0] ? 0 : 1;
    return runGuest(this.#parts, processor, this.#times[this.lastVtl]!, deadlineTicks);
  }
}
