/** Both halves put together as the TDX backing. */
import type { Backing, BackingFactory, BackingOption } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { tdxMachine, timerCapabilities } from './machine/index.js';
import type { TimerCapability } from './machine/index.js';
import { TdxShared } from './paravisor/index.js';

/** What can be chosen. Every remedy is off by default: the reference's hazards are kept. */
export interface TdxBackingOptions {
  /**
   * What the VTL2 kernel answers when asked for lower-VTL timer virtualization; default `supported`. With `absent` the partition falls back to VmTime,
   * `failed` ends start-up (openvmm PR 4053).
   */
  readonly timerCapability?: TimerCapability;
  /** Whether VTL0's local APIC is offloaded to its virtual-APIC page, and the driver finishes what it then can; default `on`, as in openvmm. */
  readonly offload?: Switch;
}

const switches = ['on', 'off'] as const;
type Switch = (typeof switches)[number];

/** Every option with its values, the default first. */
const tdxOptions = {
  timerCapability: {
    name: 'timerCapability',
    values: timerCapabilities,
    description: 'what the VTL2 kernel answers when asked for lower-VTL timer virtualization; absent falls back to VmTime, failed (EOPNOTSUPP) ends start-up, as in openvmm PR 4053',
  },
  offload: {
    name: 'offload',
    values: switches,
    description: "whether VTL0's local APIC is offloaded to hardware, and the driver finishes HLT, guest idle, fixed IPIs and VTL2's interrupts in the kernel",
  },
} as const satisfies Record<keyof TdxBackingOptions, BackingOption>;

type Values = { readonly [Name in keyof typeof tdxOptions]: (typeof tdxOptions)[Name]['values'][number] };

/** The TDX backing: lower VTLs are L2 VMs of a trust domain, and their synthetic timers expire by the L2 TSC deadline. */
export function tdxBacking(options: TdxBackingOptions = {}): Backing<MachineBacking> {
  const values: Values = { timerCapability: timerCapabilities[0], offload: switches[0], ...options };
  return {
    name: 'tdx',
    isolation: 'tdx',
    capabilities: { usesHardwareTimer: true },
    options: values,
    createShared: (parameters) => new TdxShared(parameters, { offload: values.offload === 'on' }),
    machine: tdxMachine(values.timerCapability),
  };
}

/** `tdxBacking` with options as text, `--set tdx.timerCapability=absent`. */
export const tdxBackingFactory: BackingFactory<MachineBacking> = {
  name: 'tdx',
  isolation: 'tdx',
  usesHardwareTimer: true,
  options: Object.values(tdxOptions),
  create(options) {
    for (const [name, value] of Object.entries(options)) {
      const option = (tdxOptions as Readonly<Record<string, BackingOption>>)[name];
      if (option === undefined) throw new RangeError(`the tdx backing has no option '${name}'; it has ${Object.keys(tdxOptions).join(', ')}`);
      if (!option.values.includes(value)) throw new RangeError(`tdx.${name} is ${option.values.join(' or ')}, not '${value}'`);
    }
    return tdxBacking(options as Partial<Values>);
  },
};
