import { BACKING_FACTORIES, HARDWARE_ISOLATED_GUEST_TIMER, USES_HARDWARE_TIMER } from '@paravisor/virt-core/di';
import { createMachine } from '@paravisor/virt-machine';
import { Container } from 'inversify';
import { describe, expect, it } from 'vitest';
import { tdxBacking, tdxBackingFactory } from './backing.js';
import { tdxBackingModule } from './di.js';

describe('the TDX backing in a container', () => {
  it('comes in by name, with its guest timer and that this can be a hardware timer', () => {
    const container = new Container();
    container.load(tdxBackingModule);
    expect(container.getAll(BACKING_FACTORIES)).toEqual([tdxBackingFactory]);
    expect(container.get(USES_HARDWARE_TIMER, { name: 'tdx' })).toBe(true);
    const { hcl } = createMachine({ backing: tdxBacking().machine, ramBytes: 4 << 20 });
    const create = container.get(HARDWARE_ISOLATED_GUEST_TIMER, { name: 'tdx' });
    for (const disableLowerVtlTimerVirt of [false, true]) {
      expect(create({ hcl, disableLowerVtlTimerVirt, tscFrequency: 2e9 }).isHardwareVirtualized()).toBe(!disableLowerVtlTimerVirt);
    }
  });
});
