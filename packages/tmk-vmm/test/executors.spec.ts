/** How guest code is executed shows nowhere: every guest under every backing and timer leaves the same state, log and counts. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createPartition, multibootLoader, pcChipset, readMultibootImage, tmkLoader } from '@paravisor/partition';
import type { PartitionOptions } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { amount } from './random.js';
import type { GuestName } from './tool.js';
import { configurations, everyConfiguration, guestImage } from './whole-partition.js';

const TIMEOUT_NS = 10e9;
/** Guests that start other VPs. */
const VPS: Partial<Record<GuestName, number>> = { smp: 4 };
const guests = ['basics', 'timers', 'synic', 'apic', 'deadlines', 'vsm', 'smp'] as const;
/** The translator makes code of everything here, which takes it long: with every test run one configuration a guest's test, by turns, and all by a long one. */
const CONFIGURATIONS = amount(1, everyConfiguration.length);

/** All that a run leaves, as text; `console` takes what it has sent elsewhere. */
function everything(options: PartitionOptions, sent: readonly number[] = []): string {
  const partition = createPartition(options);
  const outcome = partition.run({ timeoutNs: TIMEOUT_NS });
  const { log, diagnostics, timers, instructions, virtualNs, ledger } = partition;
  return JSON.stringify({ outcome, log, diagnostics, timers, instructions, virtualNs, exits: ledger.snapshot(), sent, state: partition.save() });
}

/** Texts of megabytes: not to be printed when they differ. */
const same = (one: string, other: string): boolean => one === other;

describe('the interpreter and the translator', () => {
  for (const guest of guests) {
    const image = guestImage(guest);
    const vps = VPS[guest] ?? 1;
    it.each(image.tests.map((test, index) => ({ name: test.name, index })))('leave the same of $name', ({ index }) => {
      for (let i = 0; i < CONFIGURATIONS; i++) {
        const configuration = everyConfiguration[(index + i) % everyConfiguration.length]!;
        const [expected, other] = (['interpreter', 'translator'] as const).map((cpu) => everything({ ...configurations[configuration](), load: tmkLoader(image, index), vps, cpu }));
        expect(same(other!, expected!), configuration).toBe(true);
      }
    });
  }

  it.each(everyConfiguration)('leave the same of the Multiboot kernel: %s', (configuration) => {
    const kernel = readMultibootImage(readFileSync(fileURLToPath(new URL('../../tmk-guests/boot/multiboot.elf', import.meta.url))));
    const [expected, ...others] = (['interpreter', 'translator', 'auto'] as const).map((cpu) => {
      const sent: number[] = [];
      const chipset = pcChipset({ serial: (byte) => sent.push(byte) });
      return everything({ ...configurations[configuration](), memoryMiB: 32, vps: 2, load: multibootLoader(kernel, { commandLine: '' }), chipset, cpu }, sent);
    });
    expect(expected).toContain('"exitStatus"');
    for (const other of others) expect(same(other, expected!)).toBe(true);
  });
});
