/** What `--set` reaches besides backings: the host and the partition, which stand beside them under names of their own. */
import type { PartitionOptions } from '@paravisor/partition';
import type { BackingOption } from '@paravisor/virt-core';
import { hostAnswerManners, hostTimerFigures, hostTimerManners } from '@paravisor/virt-machine';
import type { HostOptions } from '@paravisor/virt-machine';
import type { BackingSetting } from './cli/options.js';

/** Options under one name, as a backing's are. */
export interface SettingGroup {
  readonly name: string;
  /** What the name stands for. */
  readonly description: string;
  readonly options: readonly BackingOption[];
}

const { delayNs, repeatAfterNs, floodPeriodNs } = hostTimerFigures;
const us = (ns: number): string => `${ns / 1000} µs`;

/** CONFIG_HZ of OpenHCL's kernel (OHCL-Linux-Kernel, `hcl-x64.config`), which is started without `nohz_full`. */
const VTL2_TICK_HZ = 250;

export const settingGroups = [
  {
    name: 'host',
    description: 'the host hypervisor, which nobody above it trusts',
    options: [
      {
        name: 'timer',
        values: hostTimerManners,
        description: `what the host does with expiries of VTL2's own timer: deliver each, drop all, deliver each ${us(delayNs)} late, again ${us(repeatAfterNs)} after, or besides one every ${us(floodPeriodNs)}`,
      },
      { name: 'answers', values: hostAnswerManners, description: 'what the host answers when VTL2 asks it for an MSR, a VP register or a hypercall' },
    ],
  },
  {
    name: 'partition',
    description: 'the partition, whatever its backing',
    options: [
      { name: 'guestVsm', values: ['on', 'off'], description: 'whether the guest may enable VTL1 for itself (TLFS "Virtual Secure Mode")' },
      {
        name: 'vtl2Tick',
        values: ['off', 'on'],
        description: `the scheduler tick of VTL2's kernel, ${VTL2_TICK_HZ} Hz on each CPU that is not idle; without it every exit has a cause in the guest`,
      },
      {
        name: 'remedyAutoEoi',
        values: ['off', 'on'],
        description: 'remedy of a hazard: call a VP back while an interrupt waits behind an auto-EOI one, whose end nobody sees; on for boot',
      },
    ],
  },
] as const satisfies readonly SettingGroup[];

/** What was set of these groups. */
export interface MachineChoices {
  /** As reports name them: `host.timer`. Only what was set. */
  readonly options: Readonly<Record<string, string>>;
  readonly partition: Pick<PartitionOptions, 'host' | 'guestVsm' | 'vtl2TickHz' | 'remedyAutoEoi'>;
}

/** The choices among checked settings; of one that is given twice the last counts. */
export function machineChoices(settings: readonly BackingSetting[]): MachineChoices {
  const own = settings.filter(({ backing }) => settingGroups.some(({ name }) => name === backing));
  const options = Object.fromEntries(own.map(({ backing, option, value }) => [`${backing}.${option}`, value]));
  const { 'host.timer': timer, 'host.answers': answers, 'partition.guestVsm': guestVsm, 'partition.vtl2Tick': tick, 'partition.remedyAutoEoi': autoEoi } = options;
  const host = { ...(timer === undefined ? {} : { timer }), ...(answers === undefined ? {} : { answers }) } as HostOptions;
  return {
    options,
    partition: {
      host,
      ...(guestVsm === undefined ? {} : { guestVsm: guestVsm === 'on' }),
      ...(autoEoi === undefined ? {} : { remedyAutoEoi: autoEoi === 'on' }),
      ...(tick === undefined ? {} : { vtl2TickHz: tick === 'on' ? VTL2_TICK_HZ : 0 }),
    },
  };
}
