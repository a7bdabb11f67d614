/** A guest of the shape that openvmm's own toolchain makes: static PIE, descriptors filled by relocation, relocated by itself. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readTmk } from '@paravisor/partition';
import { describe, expect, it } from 'vitest';
import { tmkVmm } from './tool.js';
import { everyConfiguration, runImage } from './whole-partition.js';

const path = fileURLToPath(new URL('../../tmk-guests/elf/pie.elf', import.meta.url));
const image = readTmk(readFileSync(path));

it('is listed with the names that only its relocations lead to', async () => {
  const { status, stdout } = await tmkVmm(['list', path, '--json']);
  expect(status).toBe(0);
  expect(JSON.parse(stdout).tests).toEqual([
    { name: 'pie::pointers_in_data', expectedFailure: false },
    { name: 'pie::loaded_at_2_mib', expectedFailure: false },
    { name: 'pie::relocations_applied_here', expectedFailure: false },
    { name: 'pie::expected_failure', expectedFailure: true },
  ]);
});

it('has entry points where the image is loaded, and in its code', () => {
  for (const { entryPoint } of image.tests) {
    expect(image.segments.some(({ gpa, memoryBytes }) => entryPoint >= gpa && entryPoint < gpa + memoryBytes)).toBe(true);
    expect(entryPoint).toBeGreaterThan(0x200000);
  }
});

describe.each(everyConfiguration)('%s', (configuration) => {
  it.each(image.tests.map(({ name, expectedFailure }, index) => [name, expectedFailure ? 'failed' : 'passed', index] as const))('%s: %s', (_name, kind, index) => {
    expect(runImage(image, index, configuration).outcome.kind).toBe(kind);
  });
});

it('runs as expected from the command line', async () => {
  expect((await tmkVmm(['run', path, '--backing', 'all'])).status).toBe(0);
});
