/**
 * Puts the built command and everything it imports into a few files, for a quick start (see packages/tmk-vmm/bin/bundle.js): what only some commands and
 * reporters need is in files of its own. All are beside the modules they are made of, because some of these look for files by their own place. Then the tool
 * runs once, for V8 to compile what most runs need.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { generateInterpreter } from '../packages/x86-cpu/dist/interpreter/generate.js';
import { plainFields } from './plain-fields.mjs';
import { root, run } from './workspace.mjs';

/** The guest processor's interpreter, which is the same at every start, as bytes instead of what makes them. */
const madeInterpreter = {
  name: 'made-interpreter',
  load: {
    filter: { id: /x86-cpu\/dist\/interpreter\/generate\.js$/ },
    handler: () => `const bytes = Buffer.from('${Buffer.from(generateInterpreter()).toString('base64')}', 'base64');\nexport const generateInterpreter = () => bytes;\n`,
  },
};

const dist = join(root, 'packages', 'tmk-vmm', 'dist');
for (const name of readdirSync(dist)) if (name.startsWith('bundle')) rmSync(join(dist, name));
const bundle = await rolldown({ input: join(dist, 'index.js'), platform: 'node', plugins: [madeInterpreter, plainFields] });
await bundle.write({
  dir: dist,
  entryFileNames: 'bundle.cjs',
  chunkFileNames: 'bundle-[name].cjs',
  format: 'cjs',
  comments: false,
  // All that runs a partition in one function: what it has from another file V8 would look up each time.
  codeSplitting: { groups: [{ name: 'machine', test: /\/packages\/(?!tmk-vmm\/)[^/]+\/dist\// }] },
});
run(process.execPath, { args: [join(root, 'scripts', 'compile-bundle.mjs')], quiet: true });
