/**
 * `npm run test:node -- VERSION [FILE…]`: the tests of `npm test` on another Node, which npx brings: VERSION is one that npm knows the package `node` by, `24`
 * or `22.13.0`. What follows chooses among the tests.
 */
import { spawnSync } from 'node:child_process';
import { prepare, root, run, tool } from './workspace.mjs';

const [version, ...files] = process.argv.slice(2);
if (!/^\d+(?:\.\d+){0,2}$/.test(version ?? '')) {
  console.error(`test-node: "${version ?? ''}" is no version of Node: npm run test:node -- VERSION [FILE…]`);
  process.exit(2);
}
prepare();

// A shell, because npx is a script with an extension of its own on Windows. The path of that Node stays good: npx keeps what it brings.
const { status, stdout } = spawnSync(`npx -y -p node@${version} node -p process.execPath`, { cwd: root, shell: true, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
if (status !== 0) process.exit(status ?? 1);
run(stdout.trim(), { args: [tool('vitest'), 'run', ...files] });
