/** Both halves put together as the TDX backing. */
import type { Backing, BackingFactory, BackingOption } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { tdxMachine, timerCapabilities } from './machine/index.js';
import type { TimerCapability } from './machine/index.js';
import { TdxShared } from './paravisor/index.js';

/** What can be chosen. */
export interface TdxBackingOptions {
  /**
   * What the VTL2 kernel answers when asked for lower-VTL timer virtualization; default `supported`. With `absent` the partition falls back to VmTime,
   * `failed` ends start-up (openvmm PR 4053).
   */
  readonly timerCapability?: TimerCapability;
}

const timerCapabilityOption = {
  name: 'timerCapability',
  values: timerCapabilities,
  description: 'what the VTL2 kernel answers when asked for lower-VTL timer virtualization; absent falls back to VmTime, failed (EOPNOTSUPP) ends start-up, as in openvmm PR 4053',
} as const satisfies BackingOption;

const isTimerCapability = (value: string): value is TimerCapability => (timerCapabilities as readonly string[]).includes(value);

/** The TDX backing: lower VTLs are L2 VMs of a trust domain, and their synthetic timers expire by the L2 TSC deadline. */
export function tdxBacking({ timerCapability = timerCapabilityOption.values[0] }: TdxBackingOptions = {}): Backing<MachineBacking> {
  return {
    name: 'tdx',
    isolation: 'tdx',
    capabilities: { usesHardwareTimer: true },
    options: { timerCapability },
    createShared: (parameters) => new TdxShared(parameters),
    machine: tdxMachine(timerCapability),
  };
}

/** `tdxBacking` with options as text, `--set tdx.timerCapability=absent`. */
export const tdxBackingFactory: BackingFactory<MachineBacking> = {
  name: 'tdx',
  isolation: 'tdx',
  usesHardwareTimer: true,
  options: [timerCapabilityOption],
  create(options) {
    for (const name of Object.keys(options)) {
      if (name !== timerCapabilityOption.name) throw new RangeError(`the tdx backing has no option '${name}'; it has ${timerCapabilityOption.name}`);
    }
    const { timerCapability = timerCapabilityOption.values[0] } = options;
    if (!isTimerCapability(timerCapability)) throw new RangeError(`tdx.timerCapability is ${timerCapabilities.join(' or ')}, not '${timerCapability}'`);
    return tdxBacking({ timerCapability });
  },
};
