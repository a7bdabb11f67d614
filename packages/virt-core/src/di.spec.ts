import { Container } from 'inversify';
import { describe, expect, it } from 'vitest';
import { RecordingTimer, ScriptedMachine } from '../test/scripted-partition.js';
import type { BackingFactory } from './contract/index.js';
import { BACKING_FACTORIES, HARDWARE_ISOLATED_GUEST_TIMER, PARAVISOR, PARAVISOR_OPTIONS, USES_HARDWARE_TIMER, backingModule, token, virtCoreModule } from './di.js';

const factory = (name: string, usesHardwareTimer: boolean): BackingFactory => ({
  name,
  isolation: name,
  usesHardwareTimer,
  options: [],
  create: () => new ScriptedMachine().backing,
});

describe('tokens and modules', () => {
  it("each backing's module adds its factory to the list, and its timer and usesHardwareTimer under its name", () => {
    const timer = new RecordingTimer([]);
    const container = new Container();
    container.load(
      backingModule({ factory: factory('one', true), createGuestTimer: () => timer }),
      backingModule({ factory: factory('two', false), createGuestTimer: () => new RecordingTimer([]) }),
    );
    expect(container.getAll(BACKING_FACTORIES).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(container.get(USES_HARDWARE_TIMER, { name: 'one' })).toBe(true);
    expect(container.get(USES_HARDWARE_TIMER, { name: 'two' })).toBe(false);
    const create = container.get(HARDWARE_ISOLATED_GUEST_TIMER, { name: 'one' });
    expect(create({ hcl: new ScriptedMachine().hcl, disableLowerVtlTimerVirt: false, tscFrequency: 1 })).toBe(timer);
  });

  it('tokens are resolved into functions by type and place', () => {
    const number = token<number>('number');
    const text = token<string>('text');
    const container = new Container();
    container.bind(number).toConstantValue(7);
    container.bind(text).toResolvedValue((value: number) => `got ${value}`, [number]);
    expect(container.get(text)).toBe('got 7');
    expect(number).not.toBe(token<number>('number'));
  });

  it("a partition's container has one paravisor, started with the options bound there", () => {
    const machine = new ScriptedMachine();
    const container = new Container();
    container.load(virtCoreModule);
    container.bind(PARAVISOR_OPTIONS).toConstantValue(machine.options);
    const paravisor = container.get(PARAVISOR);
    expect(paravisor.vps).toHaveLength(1);
    expect(container.get(PARAVISOR)).toBe(paravisor);
    expect(machine.takeLog()).toEqual(['initialize 0']);
  });
});
