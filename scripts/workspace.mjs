/**
 * Brings a clone to the point where its code can run: the right Node, the pnpm of `packageManager`, the packages of the lockfile, the build.
 * Only Node itself is needed to load this file. What these steps print goes to stderr, so that the job's own stdout stays clean.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleIsFresh } from '../packages/tmk-vmm/bin/bundle.js';

/** The top folder of the clone. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Where stamps and machine-readable results of the last run lie. */
export const scratch = join(root, 'node_modules', '.paravisor');

const stampFile = join(scratch, 'installed');

/** Ends the process with one line when this Node is older than the oldest that `engines.node` names, which stands first there. */
function requireNode() {
  const wanted = /\d+\.\d+/.exec(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node)[0];
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  console.error(`paravisor needs Node ${wanted} or newer, this is ${process.versions.node}: install a newer Node and try again`);
  process.exit(2);
}

/** The install depends on these and nothing else: manifests, lockfile, and the Node and platform that native parts were chosen for. */
function installKey() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${process.versions.modules}`);
  const manifests = ['packages', 'docs/examples'].flatMap((folder) => readdirSync(join(root, folder)).toSorted().map((name) => join(folder, name, 'package.json')));
  for (const file of ['package.json', 'docs/package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]) {
    const path = join(root, file);
    if (existsSync(path)) hash.update(`\0${file}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

function installIfStale() {
  const key = installKey();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === key) return;
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const exact = packageManager.split('+')[0];
  console.error(`Installing with ${exact} …`);
  // A shell, because npx is a script with an extension of its own on Windows. CI keeps pnpm from asking questions.
  run(`npx -y ${exact} install --frozen-lockfile`, { shell: true, env: { ...process.env, CI: 'true' }, quiet: true });
  mkdirSync(scratch, { recursive: true });
  writeFileSync(stampFile, key);
}

/**
 * Runs a command in the top folder and ends this process with its exit status when it fails. `quiet` sends its stdout to stderr; with a `shell`,
 * `args` is left out and `command` is the whole line.
 */
export function run(command, { args = [], shell = false, env = process.env, quiet = false } = {}) {
  const child = spawnSync(command, args, { cwd: root, shell, env, stdio: ['inherit', quiet ? 2 : 'inherit', 'inherit'] });
  if (child.error) {
    console.error(`cannot run ${command}: ${child.error.message}`);
    process.exit(1);
  }
  if (child.status !== 0) process.exit(child.status ?? 1);
}

/** The entry file of a tool's command, run with this very Node rather than through a shell script that finds one. */
export function tool(name, command = name) {
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[command]);
}

/** Installs what is not installed, builds what is not built. A second call with nothing changed costs a second. */
export function prepare() {
  requireNode();
  installIfStale();
  run(process.execPath, { args: [tool('typescript', 'tsc'), '-b'], quiet: true });
  if (!bundleIsFresh()) run(process.execPath, { args: [join(root, 'scripts', 'bundle.mjs')], quiet: true });
}
