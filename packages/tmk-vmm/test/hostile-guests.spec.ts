/** Random guests under every backing and timer: random code, guests with flipped bits, damaged page tables. None may end as an exception or never. */
import { readFileSync } from 'node:fs';
import { createPartition, readTmk, tmkLoader } from '@paravisor/partition';
import type { PartitionLoader, TmkImage } from '@paravisor/partition';
import { expect, it } from 'vitest';
import { Random, amount, patience, report } from './random.js';
import { configurations, everyConfiguration, machineCode, smallGuest } from './whole-partition.js';

const images = ['basics', 'timers', 'hostile'].map((name) => readTmk(readFileSync(new URL(`../../tmk-guests/elf/${name}.elf`, import.meta.url))));
const PAGE = 4096;

/** Instructions that leave the guest or change what it is; random operands follow. */
const starts = ['0f30', '0f32', '0fa2', '0f01', '0f22', '0f20', 'f4', 'fbf4', 'ee', 'ed', 'f3a4', 'f348a5', 'f3aa', 'cd', '0f0b', '48cf', '0f00', '0f05', 'c7042500e0', '8b0425', 'a3', '66', 'f0', 'e8', 'e9', '48'].map((hex) => machineCode(hex));

function randomCode(random: Random): Uint8Array {
  const code = new Uint8Array(PAGE);
  for (let at = 0; at < 1024; ) {
    const start = random.below(3) === 0 ? random.bytes(1) : random.pick(starts);
    const rest = random.bytes(random.below(6));
    code.set(start, at);
    code.set(rest, at + start.length);
    at += start.length + rest.length;
  }
  return code;
}

/** A committed guest, some bits of its image flipped. */
function flipped(random: Random): { image: TmkImage; index: number } {
  const image = random.pick(images);
  const segments = image.segments.map((segment) => ({ ...segment, contents: Uint8Array.from(segment.contents) }));
  for (let flips = 1 + random.below(40); flips > 0; flips--) {
    const { contents } = random.pick(segments.filter((segment) => segment.contents.length > 0));
    contents[random.below(contents.length)]! ^= 1 << random.below(8);
  }
  return { image: { ...image, segments }, index: random.below(image.tests.length) };
}

/** The same loader, and then page-table entries, GDT or start input replaced. */
function withDamagedTables(loader: PartitionLoader, image: TmkImage, random: Random): PartitionLoader {
  return {
    load(target) {
      const registers = loader.load(target);
      for (let entries = 1 + random.below(8); entries > 0; entries--) {
        const page = image.end + PAGE * random.pick([0, 1, 1, 2, 2, 3, 3, 3, 7]);
        const offset = random.below(3) === 0 ? 8 * random.below(512) : 8 * random.below(4);
        const value = new DataView(new ArrayBuffer(8));
        const address = random.pick([BigInt(image.end + PAGE * random.below(8)), 0x80000000n, 0xfee00000n, 0xffff0000n, random.word()]);
        value.setBigUint64(0, BigInt.asUintN(64, address | BigInt(random.below(512))), true);
        target.write(page + offset, new Uint8Array(value.buffer));
      }
      return registers;
    },
  };
}

function hostileLoader(random: Random): PartitionLoader {
  const code = random.below(2) === 0;
  const { image, index } = code ? { image: smallGuest(randomCode(random), random.bytes(PAGE)), index: 0 } : flipped(random);
  const loader = tmkLoader(image, index);
  return random.below(3) === 0 ? withDamagedTables(loader, image, random) : loader;
}

it('whatever a guest does, it ends: within its time, without an exception', { timeout: patience }, () => {
  const count = amount(60, 3000);
  const ends: Record<string, number> = {};
  let slowestMs = 0;
  for (let seed = 0; seed < count; seed++) {
    for (const configuration of everyConfiguration) {
      const start = performance.now();
      try {
        const partition = createPartition({ ...configurations[configuration](), load: hostileLoader(new Random(seed)) });
        const { kind } = partition.run({ timeoutNs: 2e6 });
        ends[kind] = (ends[kind] ?? 0) + 1;
        expect(partition.log.length + partition.diagnostics.length).toBeLessThan(20_100);
      } catch (error) {
        throw new Error(`guest of seed ${seed}, ${configuration}`, { cause: error });
      }
      slowestMs = Math.max(slowestMs, performance.now() - start);
    }
  }
  report(`${count} random guests under ${everyConfiguration.length} configurations, no exception; slowest ${slowestMs.toFixed(0)} ms; ${JSON.stringify(ends)}`);
  for (const kind of ['passed', 'faulted', 'timeout']) expect(ends[kind] ?? 0, kind).toBeGreaterThan(0);
  expect(slowestMs).toBeLessThan(30_000);
});
