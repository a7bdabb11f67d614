/** The house's import rules: who may import whom, and what only the tool may touch. */
import { posix } from 'node:path';
import { readSource } from './source-text.js';

/** What a room may import of the others; an entry without a subpath stands for the package's main module only. */
const allowedImports: Readonly<Record<string, readonly string[]>> = {
  'hcl-protocol': [],
  'x86-cpu': [],
  'virt-machine': ['hcl-protocol', 'x86-cpu'],
  'virt-core': ['hcl-protocol', 'x86-cpu/emulate'],
  'backing-tdx': ['hcl-protocol', 'virt-core', 'virt-machine', 'x86-cpu'],
  'backing-snp': ['hcl-protocol', 'virt-core', 'virt-machine', 'x86-cpu'],
  partition: ['hcl-protocol', 'x86-cpu', 'virt-machine', 'virt-core'],
  'tmk-vmm': ['hcl-protocol', 'x86-cpu', 'virt-machine', 'virt-core', 'backing-tdx', 'backing-snp', 'partition', 'tmk-guests'],
};

/** Rooms by folder name. */
export const rooms: readonly string[] = Object.keys(allowedImports);
/** The only room with node:*, the terminal and the file system. */
const TOOL = 'tmk-vmm';
const COMPOSITION_ROOT = 'packages/tmk-vmm/src/compose.ts';
/** The contract suite: the only library code that runs inside a test runner, and only if one asks for it. */
const CONTRACT_SUITE = 'packages/partition/src/testing/';

/** What makes code depend on the machine it runs on. */
const forbiddenInLibraries: readonly [name: string, pattern: RegExp][] = [
  ['Date.now', /\bDate\s*\.\s*now\b/],
  ['the current date', /\bnew\s+Date\s*(?:\(\s*\)|(?![\s\w(]))/],
  ['Math.random', /\bMath\s*\.\s*random\b/],
  ['performance', /\bperformance\s*\.\s*\w/],
  ['process', /\bprocess\s*\.\s*\w/],
  ['crypto', /\bcrypto\s*\.\s*\w/],
];

/** One source file: its path from the top folder, with forward slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** What the file does that its room may not, one line each. */
export function violations(file: SourceFile): string[] {
  const { imports, computedImport, bare } = readSource(file.text);
  const room = file.path.split('/')[1]!;
  const found = imports.flatMap((specifier) => importViolation(file.path, room, specifier) ?? []);
  if (room !== TOOL) {
    if (computedImport) found.push('imports a module whose name is computed');
    for (const [name, pattern] of forbiddenInLibraries) if (pattern.test(bare)) found.push(`uses ${name}`);
  }
  return found.map((what) => `${file.path} ${what}`);
}

function importViolation(path: string, room: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return relativeViolation(path, room, specifier);
  if (specifier.startsWith('@paravisor/')) return roomViolation(path, room, specifier.slice('@paravisor/'.length));
  if (specifier === 'inversify') {
    return posix.basename(path) === 'di.ts' || path === COMPOSITION_ROOT ? undefined : 'imports inversify, which belongs into di.ts and the composition root';
  }
  if (specifier.startsWith('node:')) return room === TOOL ? undefined : `imports ${specifier}: only ${TOOL} may use Node`;
  if (specifier === 'vitest' && path.startsWith(CONTRACT_SUITE)) return undefined;
  return room === TOOL ? undefined : `imports the package ${specifier}: libraries have no dependency but inversify in di.ts`;
}

function relativeViolation(path: string, room: string, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(path), specifier);
  const source = `packages/${room}/src/`;
  if (!target.startsWith(source)) return `imports ${specifier}, outside its own src`;
  if (isParavisorHalf(path, room) && !isParavisorHalf(target, room)) return `imports ${specifier}: the paravisor half may not see the machine half, nor what joins the two`;
  return undefined;
}

function roomViolation(path: string, room: string, target: string): string | undefined {
  const isJoint = posix.basename(path) === 'di.ts' || path === COMPOSITION_ROOT;
  const name = isJoint ? target.replace(/\/di$/, '') : target;
  if (isParavisorHalf(path, room) && ['virt-machine', 'x86-cpu'].includes(name.split('/')[0]!)) {
    return `imports @paravisor/${target}: the paravisor half sees the ioctl line and nothing below it`;
  }
  if (allowedImports[room]?.includes(name)) return undefined;
  return `imports @paravisor/${target}, which ${room} may not`;
}

/** Of a backing, every folder but `src/machine`; files right in `src` join the halves. */
function isParavisorHalf(path: string, room: string): boolean {
  const inSource = path.replace(`packages/${room}/src/`, '');
  return room.startsWith('backing-') && inSource.includes('/') && !inSource.startsWith('machine/');
}

/** Dependencies of a manifest that its room may not have. */
export function manifestViolations(room: string, manifest: { readonly dependencies?: Readonly<Record<string, string>> }): string[] {
  const allowed = new Set((allowedImports[room] ?? []).map((name) => `@paravisor/${name.split('/')[0]}`));
  return Object.keys(manifest.dependencies ?? {})
    .filter((name) => room !== TOOL && name !== 'inversify' && !allowed.has(name))
    .map((name) => `packages/${room}/package.json depends on ${name}, which ${room} may not`);
}
