/** A whole partition saved and restored: run on, it does what it would have done. */
import { PartitionError, createPartition, restorePartition, tmkLoader } from '@paravisor/partition';
import type { Partition, PartitionErrorCode, PartitionOptions, PartitionState } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { Random, amount, patience } from './random.js';
import { configurations, everyConfiguration, guestImage } from './whole-partition.js';
import type { GuestName } from './tool.js';
import type { Configuration } from './whole-partition.js';

const TIMEOUT_NS = 10e9;

function optionsOf(name: string, configuration: Configuration): PartitionOptions {
  const guest = name.slice(0, name.indexOf('::')) as GuestName;
  const image = guestImage(guest);
  const index = image.tests.findIndex((test) => test.name === name);
  return { ...configurations[configuration](), load: tmkLoader(image, index), vps: VPS[guest] ?? 1 };
}

const throughJson = (state: PartitionState): PartitionState => JSON.parse(JSON.stringify(state)) as PartitionState;

/**
 * Everything that shows of a partition, and its state, but for where the processors last found code: one that stops in the middle of a block looks for what
 * is behind it by itself.
 */
function everythingOf(partition: Partition): object {
  const { options, state } = throughJson(partition.save());
  const withoutJumps = JSON.parse(JSON.stringify(state), (key, value: unknown) => (key === 'jumps' ? [] : value)) as object;
  const { log, diagnostics, timers, instructions, virtualNs, ledger } = partition;
  return { log, diagnostics, timers, instructions, virtualNs, ledger: ledger.snapshot(), options, state: withoutJumps };
}

function runOut(partition: Partition): object {
  const outcome = partition.run({ timeoutNs: TIMEOUT_NS });
  return { outcome, ...everythingOf(partition) };
}

/** Guests that start other VPs. */
const VPS: Partial<Record<GuestName, number>> = { smp: 4 };

const everyTest = (['basics', 'timers', 'synic', 'apic', 'deadlines', 'vsm', 'smp'] as const).flatMap((name) => guestImage(name).tests.map((test) => test.name));
/** With every test run a part of them, all by a long one. */
const NAMES = amount(0, 1) === 1 ? everyTest : [
  'basics::self_ipi_x2apic',
  'timers::apic_periodic',
  'timers::stimer_periodic_mixed',
  'timers::stimer_four',
  'synic::slot_stays_busy',
  'deadlines::many_exits',
  'vsm::both_timers_halted',
  'vsm::vina',
  'smp::ping_pong',
  'smp::ticks_after_sipi',
];

describe.each(everyConfiguration)('a partition under %s, saved and restored', (configuration) => {
  it.each(NAMES)('runs on as it would have: %s', (name) => {
    const options = optionsOf(name, configuration);
    const whole = createPartition(options);
    const expected = runOut(whole);
    const end = Math.floor((whole.virtualNs * 2_000_000_000) / 1e9);
    const random = new Random(name.length * configuration.length);
    for (let attempt = 0; attempt < amount(2, 20); attempt++) {
      const partition = createPartition(options);
      expect(partition.runTo(random.below(end))).toBeNull();
      const saved = throughJson(partition.save());
      const restored = restorePartition(options, saved);
      expect(restored.save()).toEqual(saved);
      expect(runOut(restored)).toEqual(expected);
      if (attempt === 0) expect(runOut(partition)).toEqual(expected);
    }
  }, patience);
});

describe('a saved partition', () => {
  const options = optionsOf('timers::stimer_periodic_idle', 'tdx, hardware timer');

  it('is small: memory that is zero takes no room', () => {
    const partition = createPartition(options);
    partition.runTo(50_000_000);
    expect(JSON.stringify(partition.save()).length).toBeLessThan(400_000);
  });

  it('can be saved and restored any number of times on its way', () => {
    const expected = runOut(createPartition(options));
    let partition = createPartition(options);
    for (let tick = 100_000_000; tick < 1_000_000_000; tick += 170_000_000) {
      expect(partition.runTo(tick)).toBeNull();
      partition = restorePartition(options, throughJson(partition.save()));
    }
    expect(runOut(partition)).toEqual(expected);
  });

  it('that has ended stays ended', () => {
    const whole = createPartition(options);
    const outcome = whole.run({ timeoutNs: TIMEOUT_NS });
    const restored = restorePartition(options, throughJson(whole.save()));
    expect(restored.run({ timeoutNs: TIMEOUT_NS })).toEqual(outcome);
    expect(restored.save()).toEqual(whole.save());
  });

  it('goes on between VPs at any quantum', () => {
    for (const quantumTicks of [5_000, 100_000]) {
      const several = { ...optionsOf('smp::ping_pong', 'snp, VmTime'), quantumTicks, seed: 7 };
      const whole = createPartition(several);
      const expected = runOut(whole);
      const middle = createPartition(several);
      middle.runTo(whole.virtualNs);
      expect(runOut(restorePartition(several, throughJson(middle.save())))).toEqual(expected);
    }
  });
});

describe('a state that cannot be restored is refused, with what is wrong', () => {
  const options = optionsOf('basics::boot', 'tdx, hardware timer');
  const saved = throughJson(createPartition(options).save());

  function refusal(state: unknown, given: PartitionOptions = options): { code: PartitionErrorCode; option: string; message: string } {
    try {
      restorePartition(given, state as PartitionState);
    } catch (error) {
      if (error instanceof PartitionError) return error;
      throw error;
    }
    throw new Error('it was restored');
  }

  it('as it was saved it is not, and keys may be in any order', () => {
    const { digest, state, options: made, model, schema } = saved;
    expect(restorePartition(options, { digest, state, options: made, model, schema }).save()).toEqual(saved);
  });

  it.each([
    ['a newer version', { ...saved, schema: 'paravisor/partition-state@2' }, 'newer-state', '@2'],
    ['another model', { ...saved, model: '0123abcd' }, 'newer-state', '0123abcd'],
    ['no state', null, 'bad-state', 'schema'],
    ['a list', [saved], 'bad-state', 'schema'],
    ['another document', { schema: 'tmk-vmm/results@1' }, 'bad-state', 'tmk-vmm/results@1'],
    ['a state without its digest', { ...saved, digest: undefined }, 'bad-state', 'digest'],
    ['a key too many', { ...saved, note: 'mine' }, 'bad-state', 'note'],
  ] as const)('%s', (_name, state, code, clue) => {
    const { option, ...error } = refusal(JSON.parse(JSON.stringify(state)));
    expect({ option, code: error.code }).toEqual({ option: 'state', code });
    expect(refusal(JSON.parse(JSON.stringify(state))).message).toContain(clue);
  });

  it('damage anywhere, by its digest', () => {
    const text = JSON.stringify(saved);
    const random = new Random(4);
    const start = text.indexOf('"state"');
    for (let attempt = 0; attempt < 10; attempt++) {
      const at = start + random.below(text.length - start - 100);
      const digit = /[0-8]/.exec(text.slice(at));
      const where = at + digit!.index;
      const damaged = `${text.slice(0, where)}${Number(text[where]) + 1}${text.slice(where + 1)}`;
      expect(refusal(JSON.parse(damaged))).toMatchObject({ code: 'damaged-state' });
    }
  });

  it.each([
    ['tscHz', { tscHz: 1_000_000_000 }],
    ['vps', { vps: 2 }],
    ['ramBytes', { memoryMiB: 8 }],
    ['seed', { seed: 1 }],
    ['costs', { costs: { vmExit: 1 } }],
    ['host', { host: { timer: 'drop' } }],
    ['quantumTicks', { quantumTicks: 5 }],
    ['guest', optionsOf('basics::ud2', 'tdx, hardware timer')],
    ['backing', optionsOf('basics::boot', 'snp, VmTime')],
  ] as const)('other options: %s', (name, change) => {
    const { code, message } = refusal(saved, { ...options, ...change });
    expect(code).toBe('other-options');
    expect(message).toContain(`saved with ${name} `);
  });
});
