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
}

const rearmOption = {
  name: 'rearm',
  values: ['on', 'off'],
  description: 'arm the host timer again only when the earliest SynIC deadline has changed (openvmm PR 3935)',
} as const satisfies BackingOption;

/** The SNP backing: lower VTLs are VMSAs in VMPL2 and VMPL1, guest timers are VmTime timeouts of VTL2. */
export function snpBacking({ rearm = rearmOption.values[0] }: SnpBackingOptions = {}): Backing<MachineBacking> {
  return {
    name: 'snp',
    isolation: 'snp',
    capabilities: { usesHardwareTimer: false },
    options: { rearm },
    createShared: (parameters) => new SnpShared(parameters, rearm === 'on'),
    machine: snpMachine(),
  };
}

/** `snpBacking` with options as text, `--set snp.rearm=off`. */
export const snpBackingFactory: BackingFactory<MachineBacking> = {
  name: 'snp',
  isolation: 'snp',
  usesHardwareTimer: false,
  options: [rearmOption],
  variants: [{ rearm: 'off' }, { rearm: 'on' }],
  create(options) {
    for (const name of Object.keys(options)) {
      if (name !== rearmOption.name) throw new RangeError(`the snp backing has no option '${name}'; it has ${rearmOption.name}`);
    }
    const { rearm = rearmOption.values[0] } = options;
    if (rearm !== 'on' && rearm !== 'off') throw new RangeError(`snp.rearm is ${rearmOption.values.join(' or ')}, not '${rearm}'`);
    return snpBacking({ rearm });
  },
};
