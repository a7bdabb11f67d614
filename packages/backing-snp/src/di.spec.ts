import { BACKING_FACTORIES, HARDWARE_ISOLATED_GUEST_TIMER, USES_HARDWARE_TIMER } from '@paravisor/virt-core/di';
import { Container } from 'inversify';
import { describe, expect, it } from 'vitest';
import { ScriptedHclVp } from '../test/scripted-vp.js';
import { snpBackingFactory } from './backing.js';
import { snpBackingModule } from './di.js';

describe('the SNP backing in a container', () => {
  it('comes in by name, with its guest timer and that this is no hardware timer', () => {
    const container = new Container();
    container.load(snpBackingModule);
    expect(container.getAll(BACKING_FACTORIES)).toEqual([snpBackingFactory]);
    expect(container.get(USES_HARDWARE_TIMER, { name: 'snp' })).toBe(false);
    const memory = { ramBytes: 0, read: () => true, write: () => true, readU64: () => true, compareExchange: () => 1 };
    const hcl = { vps: [new ScriptedHclVp()], memory, checkExtension: () => 0, hvcall: () => 0 };
    const timer = container.get(HARDWARE_ISOLATED_GUEST_TIMER, { name: 'snp' })({ hcl, disableLowerVtlTimerVirt: false, tscFrequency: 2e9 });
    expect(timer.isHardwareVirtualized()).toBe(false);
  });
});
