/** `npm start`: the bundled timer guests under every backing and timer, and what each cost in exits. */
import { prepare, run } from './workspace.mjs';

prepare();
run(process.execPath, { args: ['packages/tmk-vmm/bin/tmk-vmm.js', 'compare', 'packages/tmk-guests/elf/timers.elf'] });
