/** Both halves put together as the TDX backing. */
import type { Backing, BackingFactory, BackingOption } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { tdxMachine, timerCapabilities } from './machine/index.js';
import type { TimerCapability } from './machine/index.js';
import { TdxShared } from './paravisor/index.js';
import type { TdxSettings } from './paravisor/index.js';

/** What can be chosen. Every remedy is off by default: the reference's hazards are kept. */
export interface TdxBackingOptions {
  /**
   * What the VTL2 kernel answers when asked for lower-VTL timer virtualization; default `supported`. With `absent` the partition falls back to VmTime,
   * `failed` ends start-up (openvmm PR 4053).
   */
  readonly timerCapability?: TimerCapability;
  /** Whether VTL0's local APIC is offloaded to its virtual-APIC page, and the driver finishes what it then can; default `on`, as in openvmm. */
  readonly offload?: Switch;
  /** How many L2 VMs the host has given the trust domain; default 2. With `1`, fewer than lower VTLs, start-up ends. */
  readonly l2Vms?: (typeof l2VmCounts)[number];
  /** Arm the deadline anew in the L2 VM of the VTL that the VP switches to; default `off`. */
  readonly remedyVtlSwitch?: Switch;
  /** Do not take a deadline for armed that a cancelled run left in the run page; default `off`. */
  readonly remedyCancelledRun?: Switch;
  /** Arm a deadline again that expired before its time; default `off`. */
  readonly remedyEarlyExpiry?: Switch;
  /** Do not inject an event a second time that went in during a run that was cancelled; default `off`. */
  readonly remedyRepeatedEvent?: Switch;
  /** Drop a self-IPI with a vector below 16, which the offload leaves to software; default `off`: it ends the VP. */
  readonly remedyIllegalSelfIpi?: Switch;
}

const switches = ['on', 'off'] as const;
type Switch = (typeof switches)[number];
const remedies = ['off', 'on'] as const;
const l2VmCounts = ['2', '1', '3'] as const;

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
  l2Vms: {
    name: 'l2Vms',
    values: l2VmCounts,
    description: 'how many L2 VMs the host has given the trust domain; 1, fewer than there are lower VTLs, ends start-up',
  },
  remedyVtlSwitch: { name: 'remedyVtlSwitch', values: remedies, description: 'remedy of a hazard: arm the deadline anew in the L2 VM of the VTL that the VP switches to' },
  remedyCancelledRun: {
    name: 'remedyCancelledRun',
    values: remedies,
    description: 'remedy of a hazard: do not take a deadline for armed that a cancelled run left in the run page',
  },
  remedyEarlyExpiry: { name: 'remedyEarlyExpiry', values: remedies, description: 'remedy of a hazard: arm a deadline again that expired before its time' },
  remedyRepeatedEvent: {
    name: 'remedyRepeatedEvent',
    values: remedies,
    description: 'remedy of a hazard: do not inject an event a second time that went in during a run that was cancelled; on for boot',
  },
  remedyIllegalSelfIpi: {
    name: 'remedyIllegalSelfIpi',
    values: remedies,
    description: 'remedy of a hazard: drop a self-IPI with a vector below 16, as without the offload, where VMX exit 56 ends the VP; on for boot',
  },
} as const satisfies Record<keyof TdxBackingOptions, BackingOption>;

type Values = { readonly [Name in keyof typeof tdxOptions]: (typeof tdxOptions)[Name]['values'][number] };

/** The TDX backing: lower VTLs are L2 VMs of a trust domain, and their synthetic timers expire by the L2 TSC deadline. */
export function tdxBacking(options: TdxBackingOptions = {}): Backing<MachineBacking> {
  const off = { remedyVtlSwitch: 'off', remedyCancelledRun: 'off', remedyEarlyExpiry: 'off', remedyRepeatedEvent: 'off', remedyIllegalSelfIpi: 'off' } as const;
  const values: Values = { timerCapability: timerCapabilities[0], offload: switches[0], l2Vms: l2VmCounts[0], ...off, ...options };
  const settings: TdxSettings = {
    offload: values.offload === 'on',
    remedyVtlSwitch: values.remedyVtlSwitch === 'on',
    remedyCancelledRun: values.remedyCancelledRun === 'on',
    remedyEarlyExpiry: values.remedyEarlyExpiry === 'on',
    remedyRepeatedEvent: values.remedyRepeatedEvent === 'on',
    remedyIllegalSelfIpi: values.remedyIllegalSelfIpi === 'on',
  };
  return {
    name: 'tdx',
    isolation: 'tdx',
    capabilities: { usesHardwareTimer: true },
    options: values,
    createShared: (parameters) => new TdxShared(parameters, settings),
    machine: tdxMachine(values.timerCapability, Number(values.l2Vms)),
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
