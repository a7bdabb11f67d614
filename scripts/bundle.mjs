/**
 * Puts the built command and everything it imports into a few files, for a quick start (see packages/tmk-vmm/bin/bundle.js): what only some commands and
 * reporters need is in files of its own. All are beside the modules they are made of, because some of these look for files by their own place. Then the tool
 * runs once, for V8 to compile what most runs need.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root, run } from './workspace.mjs';

const dist = join(root, 'packages', 'tmk-vmm', 'dist');
for (const name of readdirSync(dist)) if (name.startsWith('bundle')) rmSync(join(dist, name));
const bundle = await rolldown({ input: join(dist, 'index.js'), platform: 'node' });
await bundle.write({ dir: dist, entryFileNames: 'bundle.cjs', chunkFileNames: 'bundle-[name].cjs', format: 'cjs' });
run(process.execPath, { args: [join(root, 'scripts', 'compile-bundle.mjs')], quiet: true });
