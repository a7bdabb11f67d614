/** The tarballs of the packages as npm makes them, and what must be true of each. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, tool } from './workspace.mjs';

/** A file that is the business of this repository alone: tests, their data, compiler state, the bundle that only the repository starts. */
const internal = /\.spec\.|\.tsbuildinfo$|(?:^|\/)(?:test|bench|node_modules)\/|^dist\/bundle/;

/** Whether npm can only be started through a shell: on Windows it is a script with an extension of its own. */
export const shellForNpm = process.platform === 'win32';

/** `npm pack` of every package that is published. Each has its manifest, the tarball's path, and the paths of the files in it. */
export function packAll(destination) {
  const folders = readdirSync(join(root, 'packages')).toSorted();
  const specs = folders.map((folder) => `./packages/${folder}`);
  const report = execFileSync('npm', ['pack', '--json', '--pack-destination', destination, ...specs], { cwd: root, shell: shellForNpm, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return JSON.parse(report).map(({ filename, files }, index) => ({
    folder: folders[index],
    manifest: JSON.parse(readFileSync(join(root, specs[index], 'package.json'), 'utf8')),
    tarball: join(destination, filename),
    files: files.map(({ path }) => path),
  }));
}

/** What is wrong with a tarball, one line each; `packed` are all of them. */
export function tarballFaults(one, packed) {
  return [...missingFiles(one), ...one.files.filter((path) => internal.test(path)).map((path) => `${path} is published`), ...manifestFaults(one, packed), ...toolFaults(one)];
}

function missingFiles({ manifest, files }) {
  const targets = Object.values(manifest.exports ?? {}).flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)));
  const named = [...targets, ...Object.values(manifest.bin ?? {})].map((path) => path.replace(/^\.\//, ''));
  return ['LICENSE', 'README.md', ...named]
    .filter((path) => !files.some((file) => (path.endsWith('*') ? file.startsWith(path.slice(0, -1)) : file === path)))
    .map((path) => `${path} is missing`);
}

function manifestFaults({ folder, manifest }, packed) {
  const faults = ['description', 'keywords', 'license', 'engines'].filter((field) => manifest[field] === undefined).map((field) => `package.json has no ${field}`);
  if (readFileSync(join(root, 'packages', folder, 'LICENSE'), 'utf8') !== readFileSync(join(root, 'LICENSE'), 'utf8')) faults.push('LICENSE is not that of the repository');
  for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
    const sibling = packed.find((other) => other.manifest.name === name);
    // `changeset version` writes the ranges: a caret on the very version that is published with this one, or an older one it still goes with.
    if (sibling && !/^\^\d+\.\d+\.\d+$/.test(range)) faults.push(`depends on ${name} by "${range}": a tarball needs a range like ^${sibling.manifest.version}`);
  }
  return faults;
}

/** publint, and for packages with code are-the-types-wrong: ESM only, so what CommonJS and the oldest resolution would see does not matter. */
function toolFaults({ manifest, tarball, files }) {
  const checks = [[tool('publint'), 'run', '--strict', tarball]];
  if (files.some((path) => path.endsWith('.d.ts'))) checks.push([tool('@arethetypeswrong/cli', 'attw'), tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji']);
  return checks.flatMap((args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    return status === 0 ? [] : [`${manifest.name}: ${stdout}${stderr}`];
  });
}

/** The packages among `packed` that `names` need, themselves included. */
export function closureOf(names, packed) {
  const closure = new Set();
  const add = (name) => {
    const found = packed.find(({ manifest }) => manifest.name === name);
    if (!found || closure.has(found)) return;
    closure.add(found);
    Object.keys(found.manifest.dependencies ?? {}).forEach(add);
  };
  names.forEach(add);
  return [...closure];
}
