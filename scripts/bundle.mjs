/** Puts the built command and everything it imports into one file, for a quick start (see packages/tmk-vmm/bin/fresh-bundle.js). */
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './workspace.mjs';

const dist = join(root, 'packages', 'tmk-vmm', 'dist');
const bundle = await rolldown({ input: join(dist, 'index.js'), platform: 'node' });
await bundle.write({ file: join(dist, 'bundle.js'), format: 'esm', codeSplitting: false });
