/** The tool, as a reader starts it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const top = fileURLToPath(new URL('../../', import.meta.url));

const start = (args) => spawnSync(process.execPath, ['packages/tmk-vmm/bin/tmk-vmm.js', ...args], { cwd: top, encoding: 'utf8', maxBuffer: 1 << 28 });

/** What a command prints on stdout, whether its tests did as expected or not. Any other failure ends the generation. */
export function tmkVmm(...args) {
  const { status, stdout, stderr } = start(args);
  if (status > 1) throw new Error(`tmk-vmm ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** The one line with which a command is refused. */
export function refusal(...args) {
  const { status, stderr } = start(args);
  if (status !== 2) throw new Error(`tmk-vmm ${args.join(' ')} ended with ${status}, and was to be refused`);
  return stderr.trim();
}
