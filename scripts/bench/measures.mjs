/** What is measured beside guest speed: start-up, memory, exits, timers. */
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { root } from '../workspace.mjs';

const configurations = ['tdx, hardware timer', 'tdx, VmTime', 'snp, VmTime'];
const TOOL = 'packages/tmk-vmm/bin/tmk-vmm.js';
const BOOT = ['run', 'packages/tmk-guests/elf/basics.elf', 'basics::boot'];

/** The measures; `node` runs a file with this Node from the top folder and gives its stdout. */
export function otherMeasures(node) {
  const measured = (...args) => Number(node('scripts/bench/measure.mjs', ...args));
  const milliseconds = (...args) => {
    const began = performance.now();
    node(...args);
    return performance.now() - began;
  };
  const idleHour = (configuration) => {
    const [backing, timer] = configuration.split(', ');
    return milliseconds(TOOL, 'run', 'packages/tmk-guests/elf/long.elf', 'long::idle_hour', '--timeout', '3700', '--backing', backing, '--guest-timer', timer === 'VmTime' ? 'vmtime' : 'hardware');
  };
  return [
    { name: 'start_up', of: 'tmk-vmm run of basics::boot, process start to end', unit: 'ms', better: 'lower', take: () => milliseconds(TOOL, ...BOOT) },
    { name: 'memory', of: 'largest resident set of the same', unit: 'MiB', better: 'lower', take: largestResidentSet },
    ...configurations.map((configuration) => ({ name: 'exits_per_second', configuration, of: 'reads of a trapped MSR in a loop', unit: '1/s', better: 'higher', take: () => measured('exits', configuration) })),
    ...configurations.map((configuration) => ({ name: 'timer_tick', configuration, of: 'a tick of a halting 1000 Hz guest, armed to delivered', unit: 'ns', better: 'lower', take: () => measured('tick', configuration) })),
    ...configurations.map((configuration) => ({ name: 'idle_hour', configuration, of: 'tmk-vmm run of long::idle_hour, process start to end', unit: 'ms', better: 'lower', take: () => idleHour(configuration) })),
    { name: 'tdx_deadline_service', of: 'clear, update and end of the TSC deadline service', unit: 'ns', better: 'lower', take: () => measured('deadline') },
  ];
}

/** MiB, as the process itself reports it when it ends. */
function largestResidentSet() {
  const { status, output } = spawnSync(process.execPath, ['--require', './scripts/bench/report-memory.cjs', TOOL, ...BOOT], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  if (status !== 0) throw new Error(`the tool ended with ${status}`);
  return Number(output[3]) / 1024;
}
