/** Both halves put together as the SNP backing. */
import type { Backing, BackingFactory, BackingOption } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { snpMachine } from './machine/index.js';
import { SnpShared } from './paravisor/index.js';

/** What can be chosen. */
export interface SnpBackingOptions {
  /**
   * `on`, the default: SynIC deadlines arm VmTime anew only when they have changed (openvmm PR 3935). `off`: a new timeout each round of the VP loop, as
   * before that change.
   */
  readonly rearm?: 'on' | 'off';
  /**
   * `on`, the default: the driver takes VTL0's writes to STIMER0_COUNT, and user mode hears of them when the run ends (openvmm PR 4224). `off`: each is
   * an exit to user mode, as before that change.
   */
  readonly kernelStimer0?: 'on' | 'off';
}

const SWITCH = ['on', 'off'] as const;

/** Both are in the tracked commit, and openvmm has no option for either: the defaults are its behaviour. */
const options = [
  { name: 'rearm', values: SWITCH, description: 'arm the host timer again only when the earliest SynIC deadline has changed (openvmm PR 3935)' },
  { name: 'kernelStimer0', values: SWITCH, description: "the driver takes VTL0's writes to STIMER0_COUNT without an exit to user mode (openvmm PR 4224)" },
] as const satisfies readonly BackingOption[];
type OptionName = (typeof options)[number]['name'];

/** The SNP backing: lower VTLs are VMSAs in VMPL2 and VMPL1, guest timers are VmTime timeouts of VTL2. */
export function snpBacking({ rearm = 'on', kernelStimer0 = 'on' }: SnpBackingOptions = {}): Backing<MachineBacking> {
  return {
    name: 'snp',
    isolation: 'snp',
    capabilities: { usesHardwareTimer: false },
    options: { rearm, kernelStimer0 },
    createShared: (parameters) => new SnpShared(parameters, { rearm: rearm === 'on', kernelStimer0: kernelStimer0 === 'on' }),
    machine: snpMachine(),
  };
}

/** `snpBacking` with options as text, `--set snp.rearm=off`. */
export const snpBackingFactory: BackingFactory<MachineBacking> = {
  name: 'snp',
  isolation: 'snp',
  usesHardwareTimer: false,
  options,
  variants: [
    { rearm: 'off', kernelStimer0: 'off' },
    { rearm: 'on', kernelStimer0: 'off' },
    { rearm: 'on', kernelStimer0: 'on' },
  ],
  create(given) {
    const chosen: Partial<Record<OptionName, 'on' | 'off'>> = {};
    for (const [name, value] of Object.entries(given)) {
      const option = options.find((known) => known.name === name);
      if (option === undefined) throw new RangeError(`the snp backing has no option '${name}'; it has ${options.map((known) => known.name).join(' and ')}`);
      if (value !== 'on' && value !== 'off') throw new RangeError(`snp.${name} is ${SWITCH.join(' or ')}, not '${value}'`);
      chosen[option.name] = value;
    }
    return snpBacking(chosen);
  },
};
