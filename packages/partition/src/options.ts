import { CostError, defaultCosts, withCosts } from '@paravisor/virt-machine';
import type { CostModel, MachineBacking } from '@paravisor/virt-machine';
import type { Backing } from '@paravisor/virt-core';
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
  /** Virtual processors; only 1 so far. */
  readonly vps?: number;
  /** Guest RAM, MiB. Default 4. */
  readonly memoryMiB?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Changes to the default cost model, ticks by name. */
  readonly costs?: Readonly<Record<string, number>>;
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
  /** The paravisor is told to leave the hardware timer alone. */
  readonly disableLowerVtlTimerVirt: boolean;
}

const MIB = 1024 * 1024;
/** RAM, tables and translated code share 4 GiB; the APIC page is at 0xfee00000. */
const MAX_MEMORY_MIB = 3072;
/** Clock arithmetic is exact in doubles up to this frequency. */
const MAX_TSC_HZ = 100_000_000_000;

/** Fills in defaults. Throws `PartitionError` naming the option that is wrong. */
export function checkOptions(options: PartitionOptions): CheckedOptions {
  const { tscHz = 2_000_000_000, ips = 20_000_000, vps = 1, memoryMiB = 4, seed = 0, guestTimer = 'auto' } = options;
  requireInteger('tscHz', tscHz, 10_000_000, MAX_TSC_HZ);
  requireInteger('ips', ips, 1, tscHz);
  requireInteger('memoryMiB', memoryMiB, 1, MAX_MEMORY_MIB);
  requireInteger('seed', seed, 0, 0xffffffff);
  if (vps !== 1) throw new PartitionError('vp-count', 'vps', `${vps} VPs were asked for, but this version runs exactly one: its scheduler for several is not finished`);
  const disabled = options.disableLowerVtlTimerVirt ?? false;
  if (guestTimer === 'hardware') {
    const { name, capabilities } = options.backing;
    if (!capabilities.usesHardwareTimer) throw new PartitionError('no-hardware-timer', 'guestTimer', `the backing ${name} has no hardware guest timer: use guest timer auto or vmtime`);
    if (disabled) throw new PartitionError('no-hardware-timer', 'guestTimer', 'OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT disables the hardware guest timer: unset it, or use guest timer auto or vmtime');
  }
  return { tscHz, ips, vps, ramBytes: memoryMiB * MIB, seed, costs: costsOf(options.costs ?? {}), disableLowerVtlTimerVirt: disabled || guestTimer === 'vmtime' };
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
