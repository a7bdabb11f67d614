import { HvIsolationType, MshvCapability } from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { createParavisor } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import { describe, expect, it } from 'vitest';
import { startAt } from '../test/small-guest.js';
import { tdxBacking, tdxBackingFactory } from './index.js';

const tscFrequency = 2_000_000_000;
const backing = tdxBacking();

/** A machine's driver that gives another answer about lower-VTL timer virtualization. */
function hclAnswering(answer: number): Hcl {
  const { hcl } = createMachine({ backing: backing.machine, ramBytes: 4 << 20 });
  return {
    vps: hcl.vps,
    memory: hcl.memory,
    checkExtension: (capability) => (capability === MshvCapability.LowerVtlTimerVirt ? answer : hcl.checkExtension(capability)),
    hvcall: (control, input, output) => hcl.hvcall(control, input, output),
  };
}

describe('the guest timer of a TDX partition (openvmm PR 2483, PR 4053)', () => {
  it.each([
    [1, false, true],
    [1, true, false],
    [0, false, false],
  ])('capability %i, OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT %s: hardware timer %s', (answer, disableLowerVtlTimerVirt, usesHardwareTimer) => {
    const shared = backing.createShared({ hcl: hclAnswering(answer), disableLowerVtlTimerVirt, tscFrequency });
    expect(shared.usesHardwareTimer).toBe(usesHardwareTimer);
    expect(shared.guestTimer.isHardwareVirtualized()).toBe(usesHardwareTimer);
  });

  it.each([
    [-95, 'lower-vtl-timer-unknown'],
    [-5, 'lower-vtl-timer-failed'],
  ])('errno %i is fatal, also when the option would not use the capability', (answer, code) => {
    for (const disableLowerVtlTimerVirt of [false, true]) {
      expect(() => backing.createShared({ hcl: hclAnswering(answer), disableLowerVtlTimerVirt, tscFrequency })).toThrow(expect.objectContaining({ name: 'StartupError', code }));
    }
  });
});

it('shows the guest TDX isolation and recommendations 0xA24; an interrupt that RFLAGS.IF holds back does not end a halt (openvmm)', () => {
  const shared = backing.createShared({ hcl: hclAnswering(1), disableLowerVtlTimerVirt: false, tscFrequency });
  expect(shared.hypervisorCpuid).toEqual({ isolationType: HvIsolationType.Tdx, enlightenments: 0xa24 });
  expect(shared.interruptEndsHaltWithoutIf).toBe(false);
});

describe('L2 VMs of the trust domain', () => {
  const start = (l2Vms: '1' | '2' | '3') => {
    const made = tdxBacking({ l2Vms });
    const { hcl } = createMachine({ backing: made.machine, ramBytes: 4 << 20 });
    const chipset = { readMmio() {}, writeMmio() {}, readPort: () => 0, writePort() {} };
    return createParavisor({ backing: made, hcl, chipset, disableLowerVtlTimerVirt: false, initialRegisters: startAt(0x1000) });
  };

  it('fewer than lower VTLs: the VP’s controls cannot be set, and nothing starts (openvmm `TdxBacked::new`)', () => {
    expect(() => start('1')).toThrow(expect.objectContaining({ name: 'StartupError', code: 'l2-vm-missing' }));
  });

  it.each(['2', '3'] as const)('%s are enough', (l2Vms) => {
    expect(start(l2Vms).fault).toBeNull();
  });
});

describe('the TDX backing as a plug-in', () => {
  it('says what it is', () => {
    expect(tdxBackingFactory).toMatchObject({ name: 'tdx', isolation: 'tdx', usesHardwareTimer: true });
    expect(backing).toMatchObject({ name: 'tdx', isolation: 'tdx', capabilities: { usesHardwareTimer: true }, options: { timerCapability: 'supported', offload: 'on', remedyVtlSwitch: 'off' } });
    expect(backing.machine.processorVendor).toBe('intel');
  });

  it('makes a backing of option values, the default being the first value', () => {
    const defaults = Object.fromEntries(tdxBackingFactory.options.map(({ name, values }) => [name, values[0]]));
    expect(tdxBackingFactory.create({}).options).toEqual(defaults);
    for (const { name, values } of tdxBackingFactory.options) {
      for (const value of values) expect(tdxBackingFactory.create({ [name]: value }).options).toEqual({ ...defaults, [name]: value });
    }
  });

  it.each([[{ timerCapability: 'maybe' }], [{ rearm: 'on' }]])('refuses %j in one line that names the choice', (options) => {
    expect(() => tdxBackingFactory.create(options as Record<string, string>)).toThrow(RangeError);
    expect(() => tdxBackingFactory.create(options as Record<string, string>)).toThrow(/timerCapability/);
  });
});
