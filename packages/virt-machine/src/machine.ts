/** A machine: everything below VTL2, put together. */
import { ExitReason } from '@paravisor/hcl-protocol';
import type { Hcl, Plain } from '@paravisor/hcl-protocol';
import { createMachineMemory } from '@paravisor/x86-cpu';
import type { Executor, MachineMemory } from '@paravisor/x86-cpu';
import { VpClock, checkTimeBase } from './clock.js';
import type { IsolationVp, MachineBacking, VpMachine } from './contract.js';
import { defaultCosts } from './cost.js';
import type { CostModel } from './cost.js';
import { DriverVp } from './driver-vp.js';
import type { DriverVpState } from './driver-vp.js';
import { Driver } from './driver.js';
import { EventQueue } from './events.js';
import type { MachineEvent } from './events.js';
import { GuestRam } from './guest-memory.js';
import { HostAnswers } from './host-answers.js';
import type { HostOptions } from './host-options.js';
import { HostVp } from './host.js';
import { KernelTimers } from './kernel-timers.js';
import { Ledger } from './ledger.js';
import type { LedgerState } from './ledger.js';
import { LOWER_VTLS, MachineVp, PAGES_A_VP } from './machine-vp.js';
import type { MachineVpState } from './machine-vp.js';
import { silentMachineObserver } from './observer.js';
import type { MachineObserver } from './observer.js';
import { OsTime } from './os-time.js';
import { restoreMemory, saveMemory } from './saved-memory.js';
import type { SavedMemory } from './saved-memory.js';
import { Schedule } from './schedule.js';
import type { ScheduleState } from './schedule.js';
import { Vtl2Processor } from './vtl2-processor.js';

export interface MachineOptions {
  readonly backing: MachineBacking;
  /** Guest RAM, a multiple of 4096, from guest physical 0. */
  readonly ramBytes: number;
  /** Virtual TSC frequency, Hz. Default 2000000000. */
  readonly tscHz?: number;
  /** Guest instructions a virtual second, at most `tscHz`. Default 20000000. */
  readonly ips?: number;
  /** Virtual processors, 1 to 64. Default 1. */
  readonly vps?: number;
  readonly costs?: CostModel;
  /** Permutes the order of VPs whose clocks are equal; changes nothing else. Default 0, the order of their numbers. */
  readonly seed?: number;
  /**
   * How many ticks one VP may run ahead of the next; 0 is by the instruction. VPs share memory in steps of this: time, exits, interrupts and timers are
   * exact whatever it is. Default: the time of `QUANTUM_INSTRUCTIONS`.
   */
  readonly quantumTicks?: number;
  /** Default: honest. */
  readonly host?: HostOptions;
  /**
   * Frequency of the VTL2 kernel's scheduler tick, Hz; OpenHCL's kernel has 250 (`CONFIG_HZ`), on each CPU that is not idle. Default 0: none, so that every
   * exit has a cause in the guest.
   */
  readonly vtl2TickHz?: number;
  readonly observer?: MachineObserver;
  /** How guest code is executed; nothing of it shows. Default `auto`. */
  readonly cpu?: Executor;
}

/** The host of a machine, for devices and tests. Ticks are absolute; what is asked for takes effect when the VP's clock stands at or past them. */
export interface MachineHost {
  /** See `HostVp.proxyInterrupt`. @throws {RangeError} for a VP or a vector that there is not. */
  proxyInterrupt(vp: number, vector: number, tick: number): void;
}

/** All there is of a machine at a point at which it stands still. */
export type MachineState = {
  readonly schedule: ScheduleState;
  readonly ledger: LedgerState;
  readonly memory: SavedMemory;
  readonly vps: readonly MachineVpState[];
  readonly drivers: readonly DriverVpState[];
  readonly isolation: Plain;
  readonly isolationVps: readonly Plain[];
};

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
  readonly host: MachineHost;
  /** Guest instructions retired by all VPs and VTLs. */
  readonly retired: number;
  /** The VPs' furthest clock, ticks. */
  readonly now: number;
  /** The clock of the VP whose turn it is, ticks. */
  readonly currentTick: number;
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
  /**
   * Lets the machine stand still once every VP that can run has reached the absolute tick `tick`: `nextVp` gives −1 then, until another tick is given, or
   * Infinity. Whether a run is paused or not makes no difference to it.
   */
  pauseAt(tick: number): void;
  /** Everything that can matter from here on, but not what was scheduled with `schedule`. To be called while the machine stands still. */
  save(): MachineState;
  /** Gives a freshly made machine of the same options a saved state. @throws {StateError} for one that cannot be read. */
  restore(state: MachineState): void;
  /** Ends the run: from now on `run` returns Pending and `nextVp` −1. */
  stop(): void;
  /**
   * The VP whose turn it is: the one to call `run` for until it returns Pending. −1 when the machine is stopped or paused, or when all VPs are idle and
   * nothing will ever wake one.
   */
  nextVp(): number;
}

/** Instructions a VP may run ahead of the next unless `MachineOptions.quantumTicks` says otherwise. */
export const QUANTUM_INSTRUCTIONS = 1000;
/** The most VPs: Hyper-V's limit for a processor set with one bank (TLFS, "Virtual processor sets"). */
export const MAX_VPS = 64;

/** @throws {RangeError} for an impossible number of VPs, size of RAM, or time base. */
export function createMachine(options: MachineOptions): Machine {
  const { backing, ramBytes, tscHz = 2_000_000_000, ips = 20_000_000, vps: vpCount = 1, seed = 0, costs = defaultCosts, vtl2TickHz = 0, observer = silentMachineObserver } = options;
  const { timer: timerManner = 'honest', answers: answerManner = 'honest' } = options.host ?? {};
  checkTimeBase(tscHz, ips);
  if (!Number.isInteger(vpCount) || vpCount < 1 || vpCount > MAX_VPS) throw new RangeError(`a machine has 1 to ${MAX_VPS} VPs, not ${vpCount}`);
  const { quantumTicks = Math.ceil((QUANTUM_INSTRUCTIONS * tscHz) / ips) } = options;

  const memory = createMachineMemory({ contexts: vpCount * LOWER_VTLS, ramBytes, permissionTables: LOWER_VTLS, hostPages: vpCount * PAGES_A_VP });
  const ledger = new Ledger(vpCount, observer, backing.exitReasons ?? []);
  const events = new EventQueue();
  const osTime = new OsTime(tscHz);
  const ram = new GuestRam(memory);
  const answers = new HostAnswers(answerManner);
  const isolation = backing.create({ memory, costs, tscHz, vpCount, permissionTableOf: (vtl) => vtl });

  const hosts = Array.from({ length: vpCount }, (_, index) => {
    const clock = new VpClock(tscHz, ips);
    return { clock, host: new HostVp({ index, clock, events, ledger, costs, observer, timerManner }) };
  });
  const schedule = new Schedule({ vps: hosts, events, quantumTicks, seed });
  const vps = hosts.map(
    ({ clock, host }, index) =>
      new MachineVp({ index, clock, host, schedule, costs, ledger, observer, memory, timers: new KernelTimers(clock, host, osTime) }, backing.processorVendor, options.cpu ?? 'auto'),
  );
  const hostCallReason = isolation.hostCallReason ?? ExitReason.other;
  const processor = new Vtl2Processor(backing.processorVendor, tscHz);
  const currentTick = (): number => hosts[schedule.current]!.clock.now;
  const callHostFromCurrent = (): void => hosts[schedule.current]!.host.call(hostCallReason);
  const isolationVps: IsolationVp[] = [];
  const drivers = vps.map((vp) => {
    const isolationVp = isolation.createVp(vp);
    isolationVps.push(isolationVp);
    return new DriverVp({
      vp,
      isolation: isolationVp,
      schedule,
      osTime,
      processor,
      isolationCpuid: (leaf, subleaf, out) => isolation.cpuid(leaf, subleaf, out),
      hostCallReason,
      answers,
      currentTick,
      callHostFromCurrent,
      lastVtl: () => vp.lastVtl,
      tickNs: vtl2TickHz === 0 ? 0 : Math.round(1e9 / vtl2TickHz),
      writeXcr0: (value) => vp.writeXcr0(value),
    });
  });

  return {
    hcl: new Driver({ isolation, memory: ram, callHost: callHostFromCurrent, answers, vps: drivers }),
    ledger,
    costs,
    tscHz,
    ips,
    clocks: hosts.map(({ clock }) => clock),
    vps,
    memory,
    osTime,
    host: {
      proxyInterrupt(vp, vector, tick) {
        const target = hosts[vp];
        if (target === undefined) throw new RangeError(`there is no VP ${vp}: there are ${vpCount}`);
        target.host.proxyInterrupt(vector, tick);
      },
    },
    get retired() {
      return hosts.reduce((sum, { clock }) => sum + clock.retired, 0);
    },
    get now() {
      return Math.max(...hosts.map(({ clock }) => clock.now));
    },
    get currentTick() {
      return currentTick();
    },
    get stopped() {
      return schedule.stopped;
    },
    loadImage(gpa, bytes) {
      if (!ram.write(gpa, bytes)) throw new RangeError(`${bytes.length} bytes at guest physical ${gpa} do not fit into ${ramBytes} bytes of RAM`);
    },
    schedule: (tick, happen) => schedule.at(tick, happen),
    unschedule: (event) => events.cancel(event),
    pauseAt: (tick) => schedule.pauseAt(tick),
    save: () => ({
      schedule: schedule.save(),
      ledger: ledger.save(),
      memory: saveMemory(memory, LOWER_VTLS),
      vps: vps.map((vp) => vp.save()),
      drivers: drivers.map((driver) => driver.save()),
      isolation: isolation.save(),
      isolationVps: isolationVps.map((vp) => vp.save()),
    }),
    restore(state) {
      restoreMemory(memory, state.memory);
      ledger.restore(state.ledger);
      isolation.restore(state.isolation);
      for (const [index, vp] of vps.entries()) vp.restore(state.vps[index]!);
      for (const [index, driver] of drivers.entries()) driver.restore(state.drivers[index]!);
      for (const [index, vp] of isolationVps.entries()) vp.restore(state.isolationVps[index]!);
      schedule.restore(state.schedule);
    },
    stop() {
      schedule.stopped = true;
    },
    nextVp: () => schedule.nextVp(),
  };
}
