/**
 * `npm run check:packages [-- NODE…]`: whether the packages can be installed and used by a stranger. Packs each, installs the tarballs into empty
 * projects in a temporary folder, and there imports every entry point, type-checks and runs the examples of the READMEs, and runs
 * docs/examples/swap-backings. Under this Node, or under each version given (`20.19 22 24`), which npm's package `node` brings.
 * Exit status: 0 all holds, 1 something does not.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { examplesOf } from './readme-examples.mjs';
import { closureOf, packAll, shellForNpm, tarballFaults } from './tarballs.mjs';
import { prepare, root, tool } from './workspace.mjs';

// The scripts have to load where nothing is installed yet; what is not Node's own comes after this.
prepare();
const { default: semver } = await import('semver');

const rootManifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const faults = [];

/** Runs a program and gives its output, or null after noting down that it failed. */
function attempt(title, command, args, { cwd, node = process.execPath } = {}) {
  const path = [dirname(node), join(cwd, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, PATH: path }, shell: command === 'npm' && shellForNpm });
  if (status === 0) return stdout;
  faults.push(`${title}: ${command} ${args.join(' ')}\n${error?.message ?? ''}${stdout}${stderr}`.trimEnd());
  return null;
}

/** An empty project with these dependencies; null when npm cannot install them under that Node. */
function project(title, folder, dependencies, node) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'a-strangers-project', private: true, type: 'module', dependencies }));
  return attempt(title, 'npm', ['install', '--engine-strict', '--prefer-offline', '--no-audit', '--no-fund'], { cwd: folder, node }) === null ? null : folder;
}

/** What a manifest in the projects says to get a package from its tarball. */
function fromTarballs(packages) {
  return Object.fromEntries(packages.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`]));
}

/** Packages in a project that `names` need, by dependencies alone, and that do not run on every Node that `range` promises. Peers are the user's choice. */
function enginesFaults(title, folder, range, names) {
  const { packages } = JSON.parse(readFileSync(join(folder, 'node_modules', '.package-lock.json'), 'utf8'));
  const needed = new Set(names);
  const isNeeded = (path) => needed.has(path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
  for (let size = -1; size !== needed.size; ) {
    size = needed.size;
    for (const [path, { dependencies }] of Object.entries(packages)) if (isNeeded(path)) for (const name of Object.keys(dependencies ?? {})) needed.add(name);
  }
  for (const [path, { engines }] of Object.entries(packages)) {
    if (isNeeded(path) && engines?.node && !semver.subset(range, engines.node)) faults.push(`${title}: promises Node ${range}, but ${path} asks for ${engines.node}`);
  }
}

/** The same for the tools of this repository, which the lockfile lists. */
function toolEnginesFaults() {
  const range = rootManifest.engines.node;
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');
  for (const [, name, node] of lockfile.matchAll(/^ {2}(\S+):\n(?: {4}.*\n)*? {4}engines: \{node: '?([^'},]+)/gm)) {
    if (!semver.subset(range, node)) faults.push(`the repository promises Node ${range}, but ${name} asks for ${node}`);
  }
}

/** Compiles TypeScript where it lies, with a resolution that knows `exports`; declarations of dependencies are checked too. */
function compile(title, folder, files, resolutions) {
  for (const moduleResolution of resolutions) {
    const module = moduleResolution === 'Bundler' ? 'ES2022' : moduleResolution;
    const options = { target: 'ES2023', lib: ['ES2023'], module, moduleResolution, strict: true, skipLibCheck: false, types: ['node'], rootDir: '.', outDir: '.' };
    const config = join(folder, 'tsconfig.json');
    writeFileSync(config, JSON.stringify({ compilerOptions: options, files }));
    attempt(`${title}: types, ${moduleResolution}`, process.execPath, [tool('typescript', 'tsc'), '-p', config], { cwd: folder });
  }
}

/** One package with what it and its README's examples need, and nothing else. */
function checkAlone(one, packed, { folder, node, label, resolutions }) {
  const title = `${one.manifest.name} (${label})`;
  const examples = examplesOf(one);
  const needed = closureOf([one.manifest.name, ...examples.packages], packed);
  const tools = ['@types/node', ...Object.keys(one.manifest.peerDependencies ?? {})].map((name) => [name, rootManifest.devDependencies[name]]);
  const place = project(title, folder, { ...fromTarballs(needed), ...Object.fromEntries(tools) }, node);
  if (place === null) return;
  enginesFaults(title, place, one.manifest.engines.node, needed.map(({ manifest }) => manifest.name));

  const entries = Object.entries(one.manifest.exports).filter(([, target]) => target.default?.endsWith('.js')).map(([path]) => one.manifest.name + path.slice(1));
  for (const entry of entries) attempt(`${title}: import`, node, ['--input-type=module', '--eval', `await import('${entry}')`], { cwd: place, node });

  for (const { file, text } of examples.programs) writeFileSync(join(place, file), text);
  const typed = examples.programs.map(({ file }) => file).filter((file) => file.endsWith('.ts'));
  if (typed.length > 0) compile(title, place, typed, resolutions);
  for (const { file } of examples.programs) attempt(`${title}: README's program`, node, [file.replace(/\.ts$/, '.js')], { cwd: place, node });
  for (const words of examples.commands) attempt(`${title}: README's command`, node, [join('node_modules', '@paravisor', 'tmk-vmm', 'bin', 'tmk-vmm.js'), ...words], { cwd: place, node });
}

/** docs/examples/swap-backings as a stranger would copy it: a script that counts exits, and tests that swap backings. */
function checkSwapBackings(packed, { folder, node, label }) {
  const title = `swap-backings (${label})`;
  const source = join(root, 'docs', 'examples', 'swap-backings');
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const tarballs = fromTarballs(closureOf(Object.keys(dependencies), packed));
  const place = project(title, folder, { ...dependencies, ...devDependencies, ...tarballs }, node);
  if (place === null) return;
  const files = readdirSync(source).filter((name) => /\.(?:ts|mjs)$|^tsconfig/.test(name));
  for (const name of files) cpSync(join(source, name), join(place, name));
  attempt(`${title}: types`, node, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'], { cwd: place, node });
  const arms = attempt(title, node, ['timer-arms.mjs'], { cwd: place, node });
  const tests = attempt(title, node, [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--no-color'], { cwd: place, node });
  if (arms !== null && tests !== null) console.log(`${title}: ${arms.trim().replace('\n', ', ')};${/^ *Tests +(.*)$/m.exec(tests)[1].replace(/^/, ' tests ')}`);
}

/** The program of a Node version: this very one for none. */
function nodeOf(version, folder) {
  if (version === undefined) return process.execPath;
  const place = project(`Node ${version}`, folder, { node: version }, process.execPath);
  return place === null ? null : join(place, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

const temporary = mkdtempSync(join(tmpdir(), 'paravisor-packages-'));
try {
  const tarballs = join(temporary, 'tarballs');
  mkdirSync(tarballs);
  const packed = packAll(tarballs);
  for (const one of packed) faults.push(...tarballFaults(one, packed).map((fault) => `${one.manifest.name}: ${fault}`));
  toolEnginesFaults();
  console.log(`${packed.length} packages packed`);

  const versions = process.argv.slice(2);
  for (const [index, version] of (versions.length > 0 ? versions : [undefined]).entries()) {
    const here = join(temporary, `node-${version ?? 'own'}`);
    const node = nodeOf(version, join(here, 'node'));
    if (node === null) continue;
    const label = `Node ${spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim()}`;
    // Types are the same whatever runs the code: once is enough.
    const resolutions = index === 0 ? ['Bundler', 'Node16'] : ['Node16'];
    for (const one of packed) checkAlone(one, packed, { folder: join(here, one.folder), node, label, resolutions });
    checkSwapBackings(packed, { folder: join(here, 'swap-backings'), node, label });
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

for (const fault of faults) console.error(`\n${fault}`);
console.log(faults.length === 0 ? 'All packages stand alone.' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
