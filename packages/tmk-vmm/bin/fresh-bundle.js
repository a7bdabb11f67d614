import { readdirSync, statSync } from 'node:fs';

const bundle = new URL('../dist/bundle.js', import.meta.url);
const packages = new URL('../../', import.meta.url);

/**
 * The tool and all it imports in a few files, which load several times as fast as some 700 modules do: the first one's URL, or null when there is none
 * or when some package here was built after it. `tsc -b` leaves a .tsbuildinfo in each package's dist.
 */
export function freshBundle() {
  const bundled = modified(bundle);
  if (bundled === 0) return null;
  const built = readdirSync(packages).map((name) => modified(new URL(`${name}/dist/.tsbuildinfo`, packages)));
  return Math.max(...built) < bundled ? bundle : null;
}

/** Milliseconds since the epoch; 0 for a file that is not there. */
function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
