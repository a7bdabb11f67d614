/** Damaged ELF files: each is refused with one `ElfError` line, or is read and fits into the memory it is loaded into. Nothing else happens. */
import { readFileSync } from 'node:fs';
import { ElfError, readTmk, tmkLoader } from '@paravisor/partition';
import { expect, it } from 'vitest';
import { Random, amount, patience, report } from './random.js';

const files = ['basics', 'timers', 'hostile', 'pie'].map((name) => readFileSync(new URL(`../../tmk-guests/elf/${name}.elf`, import.meta.url)));
const RAM = 4 << 20;

/** Where the file's own tables are: mutations that matter. */
function structures(file: Uint8Array): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [segments, sections] = [Number(view.getBigUint64(32, true)), Number(view.getBigUint64(40, true))];
  const fields = Array.from({ length: 24 }, (_, i) => 16 + 2 * i);
  for (let i = 0; i < view.getUint16(56, true) * 7; i++) fields.push(segments + 8 * i);
  for (let i = 0; i < view.getUint16(60, true) * 8; i++) fields.push(sections + 8 * i);
  for (let i = 0; i < view.getUint16(60, true); i++) {
    const [at, size] = [Number(view.getBigUint64(sections + 64 * i + 24, true)), Number(view.getBigUint64(sections + 64 * i + 32, true))];
    if (size <= 0x1000) for (let word = 0; word + 8 <= size && at + word + 8 <= file.length; word += 8) fields.push(at + word);
  }
  return fields;
}

const fieldsOf = files.map(structures);

/** Bits flipped, fields set, bytes copied from elsewhere, the end cut off. */
function damage(random: Random): Uint8Array {
  const which = random.below(files.length);
  const file = Uint8Array.from(files[which]!);
  const view = new DataView(file.buffer);
  for (let changes = 1 + random.below(6); changes > 0; changes--) {
    const at = random.pick(fieldsOf[which]!);
    switch (random.below(5)) {
      case 0:
        file[random.below(file.length)]! ^= 1 << random.below(8);
        break;
      case 1:
        file[at]! ^= 1 << random.below(8);
        break;
      case 2:
        view.setBigUint64(at, random.word(), true);
        break;
      case 3:
        view.setBigUint64(at, view.getBigUint64(random.pick(fieldsOf[which]!), true), true);
        break;
      case 4:
        view.setUint16(at, random.below(0x10000), true);
        break;
    }
  }
  return random.below(5) === 0 ? file.subarray(0, random.below(file.length)) : file;
}

/** Reads and loads a file; what it was refused for, or null. Throws whatever should not be thrown. */
function refusal(file: Uint8Array): string | null {
  try {
    const image = readTmk(file);
    tmkLoader(image, 0).load({
      ramBytes: RAM,
      write(gpa, bytes) {
        if (!Number.isSafeInteger(gpa) || gpa < 0 || gpa + bytes.length > RAM) throw new RangeError(`${bytes.length} bytes at ${gpa} leave RAM`);
      },
    });
    return null;
  } catch (error) {
    if (!(error instanceof ElfError) || error.message.includes('\n') || error.message.length > 1000) throw error;
    return error.code;
  }
}

it('whatever is done to a file, the loader answers with an ElfError or a guest that fits', { timeout: patience }, () => {
  const count = amount(1500, 100_000);
  const refused = new Map<string, number>();
  let slowestMs = 0;
  for (let seed = 0; seed < count; seed++) {
    const file = damage(new Random(seed));
    const start = performance.now();
    try {
      const code = refusal(file) ?? 'accepted';
      refused.set(code, (refused.get(code) ?? 0) + 1);
    } catch (error) {
      throw new Error(`file of seed ${seed}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
  }
  report(`${count} mutated ELF files, no exception; slowest ${slowestMs.toFixed(1)} ms; ${JSON.stringify(Object.fromEntries([...refused].toSorted()))}`);
  expect(refused.get('accepted')).toBeGreaterThan(count / 20);
  expect(refused.size).toBeGreaterThan(8);
  expect(slowestMs).toBeLessThan(2000);
});
