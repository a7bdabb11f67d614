/** Backings from outside: a package, a file or a package folder that exports `BackingFactory` values. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BackingOption } from '@paravisor/virt-core';
import type { RunnableBackingFactory } from './compose.js';
import { UsageError, firstLine } from './errors.js';

/** Loads the factories of every plugin, in order. Throws `UsageError` for one that cannot be loaded or exports none. */
export async function loadPlugins(specifiers: readonly string[]): Promise<RunnableBackingFactory[]> {
  const factories: RunnableBackingFactory[] = [];
  for (const specifier of specifiers) factories.push(...(await loadPlugin(specifier)));
  return factories;
}

async function loadPlugin(specifier: string): Promise<RunnableBackingFactory[]> {
  const file = entryFile(specifier);
  let module: Record<string, unknown>;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new UsageError(`--plugin ${specifier}: it cannot be loaded (${firstLine(error)}): give a package whose main module is JavaScript that runs here`);
  }
  const complaints: string[] = [];
  const factories: RunnableBackingFactory[] = [];
  for (const [name, value] of Object.entries(module)) {
    const complaint = shapeComplaint(value);
    if (complaint === null) factories.push(value as RunnableBackingFactory);
    else if (complaint !== '') complaints.push(`export "${name}" ${complaint}`);
  }
  if (factories.length > 0) return [...new Set(factories)];
  throw new UsageError(`--plugin ${specifier}: it exports no backing factory${complaints.length > 0 ? ` (${complaints[0]})` : ''}: export an object with name, isolation, usesHardwareTimer, options and create`);
}

/** The module to import for a file, a folder with a package.json, or a package's name looked up from the current folder as Node does. */
function entryFile(specifier: string): string {
  const path = resolve(specifier);
  if (existsSync(path)) return statSync(path).isDirectory() ? packageEntry(specifier, path) : path;
  for (let folder = resolve('.'); ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', specifier);
    if (existsSync(candidate)) return packageEntry(specifier, candidate);
    if (dirname(folder) === folder) throw new UsageError(`--plugin ${specifier}: there is no such file, folder or installed package: give a path, or install the package here`);
  }
}

function packageEntry(specifier: string, folder: string): string {
  const manifest = join(folder, 'package.json');
  let entry: string | undefined;
  try {
    const { exports, main } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: unknown; main?: unknown };
    entry = exportedEntry(exports) ?? (typeof main === 'string' ? main : 'index.js');
  } catch (error) {
    throw new UsageError(`--plugin ${specifier}: its package.json cannot be read (${firstLine(error)}): give a package folder, or the file itself`);
  }
  return join(folder, entry);
}

/** The main entry among a package's `exports` for `import` in Node (Node.js documentation, "Packages"). */
function exportedEntry(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  if ('.' in exports) return exportedEntry(exports['.']);
  for (const [condition, target] of Object.entries(exports)) {
    if (['node', 'import', 'module-sync', 'default'].includes(condition)) {
      const entry = exportedEntry(target);
      if (entry !== undefined) return entry;
    }
  }
  return undefined;
}

/** Null for a backing factory; else what it lacks, or nothing to say when it is not meant to be one. */
function shapeComplaint(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return '';
  const candidate = value as Partial<Record<keyof RunnableBackingFactory, unknown>>;
  if (candidate.create === undefined && candidate.isolation === undefined) return '';
  if (typeof candidate.name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(candidate.name)) return 'has no name of lower-case letters, digits and dashes';
  if (typeof candidate.isolation !== 'string') return 'has no isolation';
  if (typeof candidate.usesHardwareTimer !== 'boolean') return 'does not say whether it usesHardwareTimer';
  if (!Array.isArray(candidate.options) || !candidate.options.every(isOption)) return 'has no list of options with name, values and description';
  if (!areVariants(candidate.variants, candidate.options as BackingOption[])) return 'has variants that set no option of it to one of its values';
  if (typeof candidate.create !== 'function') return 'has no function create';
  return null;
}

function isOption(option: unknown): boolean {
  if (typeof option !== 'object' || option === null) return false;
  const { name, values, description } = option as Record<string, unknown>;
  return typeof name === 'string' && typeof description === 'string' && Array.isArray(values) && values.length > 0 && values.every((value) => typeof value === 'string');
}

/** Left out, or settings each of an option there is to a value it takes. */
function areVariants(variants: unknown, options: readonly BackingOption[]): boolean {
  if (variants === undefined) return true;
  const isSetting = ([name, value]: [string, unknown]): boolean => options.some((option) => option.name === name && option.values.some((known) => known === value));
  return Array.isArray(variants) && variants.length > 0 && variants.every((variant) => typeof variant === 'object' && variant !== null && Object.entries(variant).every(isSetting));
}
