/** The tool, as a reader starts it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const top = fileURLToPath(new URL('../../', import.meta.url));

/** What a command prints on stdout. A command that fails ends the generation. */
export function tmkVmm(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['packages/tmk-vmm/bin/tmk-vmm.js', ...args], { cwd: top, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`tmk-vmm ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}
