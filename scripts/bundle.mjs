/**
 * Puts the built command and everything it imports into a few files, for a quick start (see packages/tmk-vmm/bin/fresh-bundle.js): what only some commands
 * and reporters need is in files of its own. All are beside the modules they are made of, because some of these look for files by their own place.
 */
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root } from './workspace.mjs';

const dist = join(root, 'packages', 'tmk-vmm', 'dist');
const bundle = await rolldown({ input: join(dist, 'index.js'), platform: 'node' });
await bundle.write({ dir: dist, entryFileNames: 'bundle.js', chunkFileNames: 'bundle-[name].js', format: 'esm' });
