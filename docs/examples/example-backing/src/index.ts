/** A third backing: VMX without isolation, and without a hardware guest timer. Written against the public interfaces alone. */
import type { Backing, BackingFactory } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { exampleMachine } from './machine/machine.js';
import { ExampleShared } from './paravisor/shared.js';

/** The backing as a value, for `createPartition`. */
export function exampleBacking(): Backing<MachineBacking> {
  return {
    name: 'example',
    isolation: 'none',
    capabilities: { usesHardwareTimer: false },
    options: {},
    createShared: (parameters) => new ExampleShared(parameters),
    machine: exampleMachine,
  };
}

/** The backing as `--plugin` finds it. */
export const exampleBackingFactory: BackingFactory<MachineBacking> = {
  name: 'example',
  isolation: 'none',
  usesHardwareTimer: false,
  options: [],
  create(options) {
    const [unknown] = Object.keys(options);
    if (unknown !== undefined) throw new RangeError(`the example backing has no option '${unknown}': it has none`);
    return exampleBacking();
  },
};
