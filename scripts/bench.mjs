/** `npm run bench`: the guest processor's speed, and how long the tool takes to boot a guest from a cold start. */
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { prepare, root, run } from './workspace.mjs';

prepare();
run(process.execPath, { args: ['packages/x86-cpu/bench/interpreter.mjs'] });

const boot = ['packages/tmk-vmm/bin/tmk-vmm.js', 'run', 'packages/tmk-guests/elf/basics.elf', 'basics::boot'];
const wallMs = [];
for (let i = 0; i < 5; i++) {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, boot, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
  wallMs.push(performance.now() - start);
}
wallMs.sort((a, b) => a - b);
console.log(`tmk-vmm run of basics::boot, process start to end: best ${wallMs[0].toFixed(0)} ms, median ${wallMs[2].toFixed(0)} ms`);
