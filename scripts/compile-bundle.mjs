/** Runs the bundled tool under both backings and keeps what V8 compiles meanwhile: in a process with the flags of the tool itself, or V8 would not take it. */
import { join } from 'node:path';
import { setV8Flags } from '../packages/tmk-vmm/bin/v8-flags.js';
import { loadBundle } from '../packages/tmk-vmm/bin/bundle.js';
import { root } from './workspace.mjs';

setV8Flags();
const { main, keepCompiled } = loadBundle();
const guest = join(root, 'packages', 'tmk-guests', 'elf', 'basics.elf');
process.stdout.write = () => true;
for (const backing of ['tdx', 'snp']) await main(['run', guest, 'basics::boot', '--backing', backing]);
keepCompiled();
process.exit();
