import { CostError, MAX_VPS, QUANTUM_INSTRUCTIONS, defaultCosts, hostAnswerManners, hostTimerManners, withCosts } from '@paravisor/virt-machine';
import type { CostModel, Executor, HostOptions, MachineBacking } from '@paravisor/virt-machine';
import type { Backing } from '@paravisor/virt-core';
import type { Board } from './chipset/board.js';
import type { BusDevice } from './chipset/chipset.js';
import type { PartitionLoader } from './loader/loader.js';
import type { PartitionObserver } from './observer.js';
import { PartitionError } from './partition-error.js';
import type { PartitionOptionName } from './partition-error.js';

/** Which timer virtualizes the guest's deadlines: what the backing can, its hardware timer, or VTL2's VmTime. */
export type GuestTimerChoice = 'auto' | 'hardware' | 'vmtime';

export interface PartitionOptions {
  readonly backing: Backing<MachineBacking>;
  /** What to load, for example `tmkLoader(image, testIndex)`. */
  readonly load: PartitionLoader;
  /** Default `auto`: what the backing can. */
  readonly guestTimer?: GuestTimerChoice;
  /** OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT of OpenHCL's environment: turns `auto` into `vmtime`. Default false. */
  readonly disableLowerVtlTimerVirt?: boolean;
  /** Virtual TSC frequency, Hz. Default 2000000000. */
  readonly tscHz?: number;
  /** Guest instructions a virtual second, 1 to `tscHz`. Default 20000000. */
  readonly ips?: number;
  /** Virtual processors, 1 to 64. Default 1. All but the first wait for a start-up IPI. */
  readonly vps?: number;
  /** How many ticks one VP may run ahead of the next, see `MachineOptions.quantumTicks`. Default: the time of 1000 instructions. */
  readonly quantumTicks?: number;
  /** Guest RAM, MiB. Default 4. */
  readonly memoryMiB?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Changes to the default cost model, ticks by name. */
  readonly costs?: Readonly<Record<string, number>>;
  /** How the host behaves, which the guest and its paravisor do not trust. Default: honest. */
  readonly host?: HostOptions;
  /** Remedy of a hazard, see `ParavisorOptions.remedyAutoEoi`. Default false. */
  readonly remedyAutoEoi?: boolean;
  /** Frequency of the VTL2 kernel's scheduler tick, Hz, see `MachineOptions.vtl2TickHz`. 0 to 1000, default 0: none. */
  readonly vtl2TickHz?: number;
  /** Whether the guest may enable VTL1 for itself (TLFS "Virtual Secure Mode"). Default true. */
  readonly guestVsm?: boolean;
  /** How guest code is executed: by the interpreter alone, translated, or translated where it is hot. Nothing of it shows but the time it takes. Default `auto`. */
  readonly cpu?: Executor;
  /** Devices besides the TMK command register, which comes first; the first that claims an address has it. */
  readonly devices?: readonly BusDevice[];
  /** More devices, behind `devices`: those that need the partition they are in, for example `pcChipset(…)`. Called once. */
  readonly chipset?: (board: Board) => readonly BusDevice[];
  readonly observer?: PartitionObserver;
}

/** Options with their defaults, checked. */
export interface CheckedOptions {
  readonly tscHz: number;
  readonly ips: number;
  readonly vps: number;
  readonly ramBytes: number;
  readonly seed: number;
  readonly costs: CostModel;
  readonly quantumTicks: number;
  readonly host: Required<HostOptions>;
  readonly vtl2TickHz: number;
  /** The paravisor is told to leave the hardware timer alone. */
  readonly disableLowerVtlTimerVirt: boolean;
}

const MIB = 1024 * 1024;
/** RAM, tables and translated code share 4 GiB; the APIC page is at 0xfee00000. */
const MAX_MEMORY_MIB = 3072;
/** Clock arithmetic is exact in doubles up to this frequency. */
const MAX_TSC_HZ = 100_000_000_000;

/** Linux's highest CONFIG_HZ. */
const MAX_VTL2_TICK_HZ = 1000;

/** As long as any run lasts: the clock is exact up to here. */
const MAX_QUANTUM = 2 ** 52;

/** Fills in defaults. Throws `PartitionError` naming the option that is wrong. */
export function checkOptions(options: PartitionOptions): CheckedOptions {
  const { tscHz = 2_000_000_000, ips = 20_000_000, vps = 1, memoryMiB = 4, seed = 0, vtl2TickHz = 0, guestTimer = 'auto' } = options;
  requireInteger('tscHz', tscHz, 10_000_000, MAX_TSC_HZ);
  requireInteger('ips', ips, 1, tscHz);
  requireInteger('memoryMiB', memoryMiB, 1, MAX_MEMORY_MIB);
  requireInteger('seed', seed, 0, 0xffffffff);
  requireInteger('vps', vps, 1, MAX_VPS);
  requireInteger('vtl2TickHz', vtl2TickHz, 0, MAX_VTL2_TICK_HZ);
  const { quantumTicks = Math.ceil((QUANTUM_INSTRUCTIONS * tscHz) / ips) } = options;
  requireInteger('quantumTicks', quantumTicks, 0, MAX_QUANTUM);
  const disabled = options.disableLowerVtlTimerVirt ?? false;
  if (guestTimer === 'hardware') {
    const { name, capabilities } = options.backing;
    if (!capabilities.usesHardwareTimer) throw new PartitionError('no-hardware-timer', 'guestTimer', `the backing ${name} has no hardware guest timer: use guest timer auto or vmtime`);
    if (disabled) throw new PartitionError('no-hardware-timer', 'guestTimer', 'OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT disables the hardware guest timer: unset it, or use guest timer auto or vmtime');
  }
  return {
    tscHz,
    ips,
    vps,
    ramBytes: memoryMiB * MIB,
    seed,
    quantumTicks,
    costs: costsOf(options.costs ?? {}),
    host: hostOf(options.host ?? {}),
    vtl2TickHz,
    disableLowerVtlTimerVirt: disabled || guestTimer === 'vmtime',
  };
}

function hostOf({ timer = 'honest', answers = 'honest' }: HostOptions): Required<HostOptions> {
  requireOneOf('timer', timer, hostTimerManners);
  requireOneOf('answers', answers, hostAnswerManners);
  return { timer, answers };
}

function requireOneOf(name: string, value: string, known: readonly string[]): void {
  if (!known.includes(value)) throw new PartitionError('bad-host', 'host', `host.${name} is '${value}'; it must be one of ${known.join(', ')}`);
}

function costsOf(changes: Readonly<Record<string, number>>): CostModel {
  try {
    return withCosts(defaultCosts, changes);
  } catch (error) {
    if (error instanceof CostError) throw new PartitionError('bad-number', 'costs', error.message);
    throw error;
  }
}

function requireInteger(name: PartitionOptionName, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new PartitionError('bad-number', name, `${name} is ${value}; it must be a whole number from ${least} to ${most}`);
  }
}
