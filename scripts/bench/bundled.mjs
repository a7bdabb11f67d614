/** The built packages as the tool runs them: in one file (see scripts/bundle.mjs), with its V8 flags. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { setV8Flags } from '../../packages/tmk-vmm/bin/v8-flags.js';
import { plainFields } from '../plain-fields.mjs';
import { root } from '../workspace.mjs';

/** The exports of library.mjs. */
export async function bundledLibrary() {
  setV8Flags();
  const folder = mkdtempSync(join(tmpdir(), 'paravisor-bench-'));
  try {
    const file = join(folder, 'library.cjs');
    const bundle = await rolldown({ input: join(root, 'scripts', 'bench', 'library.mjs'), platform: 'node', plugins: [plainFields] });
    await bundle.write({ file, format: 'cjs' });
    await bundle.close();
    return createRequire(file)(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
