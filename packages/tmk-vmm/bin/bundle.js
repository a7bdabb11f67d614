/**
 * The built tool and all it imports in a few files, with the code that V8 made of them the last time beside each: they load several times as fast as some 700
 * modules do. `scripts/bundle.mjs` makes them; they are of one checkout and one Node, and are not published.
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script, constants } from 'node:vm';

const packages = new URL('../../', import.meta.url);
const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const ENTRY = 'bundle.cjs';

/** Whether there is a bundle, and no package here was built after it. `tsc -b` leaves a .tsbuildinfo in each package's dist. */
export function bundleIsFresh() {
  const bundled = modified(dist + ENTRY);
  return bundled !== 0 && readdirSync(packages).every((name) => modified(new URL(`${name}/dist/.tsbuildinfo`, packages)) < bundled);
}

/** Milliseconds since the epoch; 0 for a file that is not there. */
function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What the bundle exports, and `keepCompiled`, which writes down what V8 has compiled of it so far. */
export function loadBundle() {
  const scripts = new Map();
  const modules = new Map();
  const load = (name) => {
    const known = modules.get(name);
    if (known !== undefined) return known.exports;
    const filename = dist + name;
    // V8 compiles as ever when the code is of another version or of other flags.
    const script = new Script(`(function (exports, require, module, __filename) {${readFileSync(filename, 'utf8')}\n})`, {
      filename,
      cachedData: compiledOf(filename),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    const module = { exports: {} };
    modules.set(name, module);
    scripts.set(filename, script);
    const requireOther = createRequire(filename);
    const require = (id) => (id.startsWith('./') ? load(id.slice(2)) : requireOther(id));
    script.runInThisContext()(module.exports, require, module, filename);
    return module.exports;
  };
  return { ...load(ENTRY), keepCompiled: () => scripts.forEach((script, filename) => writeFileSync(cacheOf(filename), script.createCachedData())) };
}

const cacheOf = (filename) => `${filename}.compiled`;

function compiledOf(filename) {
  const cache = cacheOf(filename);
  return modified(cache) > 0 ? readFileSync(cache) : undefined;
}
