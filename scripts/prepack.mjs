/**
 * `prepack` of each package, run in its folder by npm and pnpm before they make a tarball: builds it, and removes from `dist` what an earlier build
 * left there of sources that are gone. Otherwise a file moved or deleted in `src` would still be published.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, tool } from './workspace.mjs';

const folder = process.cwd();
run(process.execPath, { args: [tool('typescript', 'tsc'), '-b', folder], quiet: true });

for (const path of readdirSync(join(folder, 'dist'), { recursive: true })) {
  const [, source] = /^(.*)\.d\.ts$/.exec(path) ?? [];
  if (source === undefined || existsSync(join(folder, 'src', `${source}.ts`))) continue;
  for (const output of ['js', 'js.map', 'd.ts', 'd.ts.map']) rmSync(join(folder, 'dist', `${source}.${output}`), { force: true });
}
