import type { GivenOptions } from '../cli/argv.js';
import { readGuest } from '../guest-file.js';
import { toJson } from '../reporters/json.js';
import { visible } from '../reporters/visible.js';

/** `tmk-vmm list <guest>`: the names of its tests, one a line. */
export function list(guest: string, options: GivenOptions): string {
  const { image } = readGuest(guest);
  if (options.has('json')) {
    return toJson({ schema: 'tmk-vmm/tests@1', tests: image.tests.map(({ name, expectedFailure }) => ({ name, expectedFailure })) });
  }
  return image.tests.map(({ name, expectedFailure }) => `${visible(name)}${expectedFailure ? ' (expected failure)' : ''}\n`).join('');
}
