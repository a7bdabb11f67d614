/** The TDX backing as a value, and the door by which it comes in. */
import type { Backing, BackingFactory } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { tdxMachine, timerCapabilities } from './machine/index.js';
import type { TimerCapability } from './machine/index.js';
import { TdxShared } from './paravisor/index.js';

/** What can be chosen. */
export interface TdxBackingOptions {
  /** What the VTL2 kernel answers about lower-VTL timer virtualization; default `supported`. The other two end start-up (openvmm PR 4053). */
  readonly timerCapability?: TimerCapability;
}

const NAME = 'tdx';
const TIMER_CAPABILITY = 'timerCapability';
const isTimerCapability = (value: string): value is TimerCapability => (timerCapabilities as readonly string[]).includes(value);

/** TD partitioning: lower VTLs are L2 VMs of a trust domain, and their synthetic timers expire by the L2 TSC deadline. */
export function tdxBacking({ timerCapability = 'supported' }: TdxBackingOptions = {}): Backing<MachineBacking> {
  return {
    name: NAME,
    isolation: NAME,
    capabilities: { usesHardwareTimer: true },
    options: { [TIMER_CAPABILITY]: timerCapability },
    createShared: (parameters) => new TdxShared(parameters),
    machine: tdxMachine(timerCapability),
  };
}

/** `tdxBacking` for a registry of backings; its options are those of `--set tdx.<name>=<value>`. */
export const tdxBackingFactory: BackingFactory<MachineBacking> = {
  name: NAME,
  isolation: NAME,
  usesHardwareTimer: true,
  options: [
    {
      name: TIMER_CAPABILITY,
      values: timerCapabilities,
      description: 'what the VTL2 kernel answers when asked for lower-VTL timer virtualization; absent falls back to VmTime, failed (EOPNOTSUPP) ends start-up, as in openvmm PR 4053',
    },
  ],
  create(options) {
    for (const [name, value] of Object.entries(options)) {
      if (name !== TIMER_CAPABILITY) throw new RangeError(`tdx has no option '${name}'; its options are ${TIMER_CAPABILITY}`);
      if (!isTimerCapability(value)) throw new RangeError(`tdx.${name} is one of ${timerCapabilities.join(', ')}, not '${value}'`);
    }
    const timerCapability = options[TIMER_CAPABILITY];
    return tdxBacking(timerCapability === undefined ? {} : { timerCapability: timerCapability as TimerCapability });
  },
};
